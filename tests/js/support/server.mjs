// The real server, as a process of its own in a folder of its own.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { within } from "./until.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const BINARY = path.resolve(ROOT, process.env.HAPPIERWORK_BIN ?? "target/debug/happierwork");

/** Where all that servers log is kept, to be searched for secrets. */
const LOGS = process.env.HAPPIERWORK_TEST_LOGS;

/** The 60 recorded positions, as the old backend kept them. */
export const RECORDED = path.join(ROOT, "tests/fixtures/legacy/positions.json");

if (!existsSync(BINARY)) {
  throw new Error(`there is no server at ${BINARY}: run \`cargo build\`, or set HAPPIERWORK_BIN to the program`);
}

// Whatever happens to a test, nothing is left behind.
const children = new Set();
const folders = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), "happierwork-js-"));
  folders.add(folder);
  return folder;
}

/** Runs a command of the program to its end. */
export async function run(...args) {
  try {
    return { code: 0, ...(await promisify(execFile)(BINARY, args, { maxBuffer: 64 << 20 })) };
  } catch (error) {
    if (typeof error.code !== "number") throw error;
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

async function must(...args) {
  const done = await run(...args);
  if (done.code !== 0) throw new Error(`happierwork ${args.join(" ")}: exit ${done.code}: ${done.stderr}`);
  return done.stdout;
}

let demo;
/** The demo document: imported once, copied for each server. */
async function demoDocument() {
  demo ??= (async () => {
    const file = path.join(newFolder(), "state.automerge");
    await must("import", RECORDED, "--state", file, "--name", "Growth 2027", "--total-budget", "2000");
    return file;
  })();
  return demo;
}

// Each server has a loopback address of its own, where the system has them: so a server that is started again finds its
// port free, whatever other tests open meanwhile.
let hosts = 0;
function ownHost() {
  if (process.platform !== "linux") return "127.0.0.1";
  hosts += 1;
  return `127.${1 + (process.pid % 250)}.${1 + ((process.pid >> 8) % 250)}.${1 + (hosts % 250)}`;
}

export class Server {
  /** Starts a server that ends with the test. Options: `state` (a file to copy; null: none), `flags`. */
  static async start(t, options = {}) {
    const server = await Server.prepare(t, options);
    await server.start();
    return server;
  }

  /** The same, not started yet. */
  static async prepare(t, { state, flags = [] } = {}) {
    const server = new Server(newFolder(), flags);
    t.after(() => server.dispose());
    const source = state === undefined ? await demoDocument() : state;
    if (source) copyFileSync(source, server.state);
    return server;
  }

  constructor(folder, flags) {
    this.folder = folder;
    this.flags = flags;
    this.host = ownHost();
    this.port = 0;
    this.clients = [];
    this.state = path.join(folder, "state.automerge");
    this.documents = path.join(folder, "documents");
    mkdirSync(this.documents);
  }

  /** Starts the process, on the port that it had before if it had one, and waits until it listens. */
  async start() {
    await this.spawn();
    await within(this.listening, `the server in ${this.folder} to listen`);
  }

  /** Starts the process and does not wait. `listening` and `exited` tell. */
  async spawn() {
    const args = ["--listen", `${this.host}:${this.port}`, "--state", this.state, "--documents", this.documents];
    const child = spawn(BINARY, [...args, ...this.flags], { stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    this.child = child;
    this.log = "";
    this.url = undefined;
    this.listening = undefined;
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.log += text;
      if (LOGS) appendFileSync(path.join(LOGS, `js-${process.pid}.log`), text);
    });
    this.exited = once(child, "exit").then(([code, signal]) => {
      children.delete(child);
      return { code, signal };
    });
    this.listening = new Promise((resolve, reject) => {
      createInterface(child.stdout).on("line", (line) => {
        const [, word, rest] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
        if (word === "url") this.url = rest;
        if (word === "document") this.announced = rest;
        if (word === "listening") {
          this.port = Number(new URL(rest.split(" ")[0]).port);
          resolve();
        }
      });
      this.exited.then((end) => reject(new Error(`the server ended (${JSON.stringify(end)}): ${this.log}`)));
    });
    this.listening.catch(() => {});
  }

  get documentId() {
    return this.url.slice("automerge:".length);
  }

  ws(where = "/sync") {
    return `ws://${this.host}:${this.port}${where}`;
  }

  http(where) {
    return `http://${this.host}:${this.port}${where}`;
  }

  /** The end that an operator brings about. Returns how it exited. */
  async stop() {
    this.child.kill("SIGTERM");
    return within(this.exited, "the server to stop");
  }

  /** kill -9. */
  async kill() {
    this.child.kill("SIGKILL");
    return within(this.exited, "the server to be dead");
  }

  /** The end of a test: clients leave first, as a stock client throws when its server is killed while it connects. */
  async dispose() {
    for (const client of this.clients.splice(0)) client.close();
    if (this.child && children.has(this.child)) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }

  /** The bytes of the default document's file, as they are. */
  bytes() {
    return new Uint8Array(readFileSync(this.state));
  }

  /** The JSON view of the default document's file. */
  async exported() {
    return JSON.parse(await must("export", "--state", this.state));
  }

  /** What `check` says about the default document's file. */
  async checked() {
    return run("check", this.state);
  }
}

const STOCK_SERVER = path.join(ROOT, "tests/js/support/stock_server.mjs");

/** A stock automerge-repo server on Node.js, as a process of its own. Clients treat it like a [`Server`]. */
export class StockServer {
  /** Starts one that ends with the test. `announces`: sends its documents to peers that have not asked for them. */
  static async start(t, { announces = true } = {}) {
    const server = new StockServer(newFolder(), announces);
    t.after(() => server.dispose());
    await server.start();
    return server;
  }

  constructor(folder, announces) {
    this.folder = folder;
    this.announces = announces;
    this.host = ownHost();
    this.port = 0;
    this.clients = [];
  }

  /** Starts the process, on the port that it had before if it had one, and waits until it listens. */
  async start() {
    const ANNOUNCE = this.announces ? "yes" : "no";
    const env = { ...process.env, HOST: this.host, PORT: String(this.port), DATA_DIR: path.join(this.folder, "data"), ANNOUNCE };
    const child = spawn(process.execPath, [STOCK_SERVER], { env, stdio: ["ignore", "pipe", "inherit"] });
    children.add(child);
    this.child = child;
    this.exited = once(child, "exit").then(() => children.delete(child));
    const [line] = await within(once(createInterface(child.stdout), "line"), "the stock server to listen");
    this.port = Number(line.split(" ")[1]);
  }

  ws() {
    return `ws://${this.host}:${this.port}/`;
  }

  /** kill -9. */
  async kill() {
    this.child.kill("SIGKILL");
    return within(this.exited, "the stock server to be dead");
  }

  async dispose() {
    for (const client of this.clients.splice(0)) client.close();
    if (children.has(this.child)) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }
}
