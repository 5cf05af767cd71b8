// One process of the program.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
export const BINARY = path.resolve(ROOT, process.env.HAPPIERWORK_BIN ?? "target/debug/happierwork");

/** Folder that keeps the logs of all servers, to be searched for secrets. */
const LOGS = process.env.HAPPIERWORK_TEST_LOGS;

if (!existsSync(BINARY)) {
  throw new Error(`${BINARY} is missing: run \`cargo build\`, or set HAPPIERWORK_BIN to the program`);
}

// Processes and folders are removed at the end of the tests, also if a test fails.
const children = new Set();
const folders = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Kills a process when the tests end, if it is still running. */
export function killAtExit(child) {
  children.add(child);
  child.once("exit", () => children.delete(child));
}

export function newFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), "happierwork-js-"));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
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

/** Like `run`, but fails unless the command succeeds. Returns its output. */
export async function must(...args) {
  const done = await run(...args);
  if (done.code !== 0) throw new Error(`happierwork ${args.join(" ")}: exit ${done.code}: ${done.stderr}`);
  return done.stdout;
}

/** A server process. `listening` and `exited` are promises. */
export class Program {
  /** `environment` is for secrets such as the URL of a database. */
  constructor(host, environment = {}) {
    this.host = host;
    this.port = 0;
    this.environment = environment;
  }

  /** Starts the process without waiting, on its previous port if it had one. */
  spawn(args) {
    const all = ["--listen", `${this.host}:${this.port}`, ...args];
    const child = spawn(BINARY, all, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...this.environment } });
    children.add(child);
    this.child = child;
    this.log = "";
    this.url = undefined;
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

  get isRunning() {
    return this.child !== undefined && children.has(this.child);
  }

  ws(where = "/sync") {
    return `ws://${this.host}:${this.port}${where}`;
  }

  http(where) {
    return `http://${this.host}:${this.port}${where}`;
  }
}
