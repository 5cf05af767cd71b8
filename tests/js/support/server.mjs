// The real server with its own storage: one process with files, or several with one database.

import { Database } from "./database.mjs";
import { Files } from "./files.mjs";
import { ownHost } from "./host.mjs";
import { Program, newFolder, removeFolder } from "./program.mjs";
import { within } from "./until.mjs";

export { BINARY, run } from "./program.mjs";
export { RECORDED } from "./recorded.mjs";

/** Number of processes that make up the server of a test. Several processes share a database. */
export const SERVERS = Number(process.env.HAPPIERWORK_TEST_SERVERS ?? 1);
const DATABASE = process.env.HAPPIERWORK_TEST_DATABASE;
if (SERVERS > 1 !== (DATABASE === "postgres") || !(SERVERS >= 1)) {
  throw new Error("several servers need a database: HAPPIERWORK_TEST_SERVERS=3 HAPPIERWORK_TEST_DATABASE=postgres");
}

export class Server {
  /** Starts a server that stops at the end of the test. Options: `state` (a file to copy; null: none), `flags`. */
  static async start(t, options = {}) {
    const server = await Server.prepare(t, options);
    await server.start();
    return server;
  }

  /** Like `start`, but does not start the processes. */
  static async prepare(t, { state, flags = [] } = {}) {
    const folder = newFolder();
    const storage = await (SERVERS > 1 ? Database : Files).make(folder, state);
    const server = new Server(folder, storage, flags);
    t.after(() => server.dispose());
    return server;
  }

  constructor(folder, storage, flags) {
    this.folder = folder;
    this.storage = storage;
    this.flags = flags;
    this.host = ownHost();
    this.programs = Array.from({ length: SERVERS }, () => new Program(this.host, storage.environment));
    this.clients = [];
    this.turn = 0;
  }

  /** Starts all processes, on their previous ports if they had any, and waits until they listen. */
  async start() {
    await this.spawn();
    await within(this.listening, `the server in ${this.folder} to listen`);
  }

  /** Starts all processes without waiting. `listening` and `exited` report the rest. */
  async spawn() {
    for (const program of this.programs) program.spawn([...this.storage.flags, ...this.flags]);
  }

  get listening() {
    const listening = Promise.all(this.programs.map((program) => program.listening));
    listening.catch(() => {});
    return listening;
  }

  /** How the processes exited: all in the same way. */
  get exited() {
    return Promise.all(this.programs.map((program) => program.exited)).then(([first, ...others]) => {
      const odd = others.find(({ code, signal }) => code !== first.code || signal !== first.signal);
      return odd ?? first;
    });
  }

  get isRunning() {
    return this.programs.every((program) => program.isRunning && program.child.exitCode === null);
  }

  get url() {
    return this.programs[0].url;
  }

  get announced() {
    return this.programs[0].announced;
  }

  get documentId() {
    return this.url.slice("automerge:".length);
  }

  get state() {
    return this.storage.state;
  }

  get documents() {
    return this.storage.documents;
  }

  /** The next process in turn, as a load balancer chooses. */
  next() {
    const program = this.programs[this.turn % this.programs.length];
    this.turn += 1;
    return program;
  }

  get port() {
    return this.next().port;
  }

  ws(where) {
    return this.next().ws(where);
  }

  http(where) {
    return this.next().http(where);
  }

  /** One process, for a page: its requests go to its own origin. */
  one() {
    const program = this.next();
    return { ws: (where) => program.ws(where), http: (where) => program.http(where), clients: this.clients };
  }

  /** Stops all processes like an operator. Returns how they exited. */
  async stop() {
    for (const { child } of this.programs) child.kill("SIGTERM");
    return within(this.exited, "the server to stop");
  }

  /** kill -9, of all processes. */
  async kill() {
    for (const { child } of this.programs) child.kill("SIGKILL");
    return within(this.exited, "the server to exit");
  }

  /** Ends a test: clients leave first, as a stock client throws when its server is killed while it connects. */
  async dispose() {
    for (const client of this.clients.splice(0)) client.close();
    const running = this.programs.filter((program) => program.isRunning);
    for (const { child } of running) child.kill("SIGKILL");
    await within(Promise.all(running.map((program) => program.exited)), "the server to exit");
    this.storage.dispose();
    removeFolder(this.folder);
  }

  /** The stored bytes of the default document. */
  bytes() {
    return this.storage.bytes();
  }

  /** Number of stored documents besides the default document. */
  stored() {
    return this.storage.count();
  }

  /** The JSON view of the stored default document. */
  exported() {
    return this.storage.exported();
  }

  /** Result of the command `check` on the stored default document. */
  checked() {
    return this.storage.checked();
  }
}
