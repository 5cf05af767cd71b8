// A stock automerge-repo server on Node.js, in a separate process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

import { ownHost } from "./host.mjs";
import { ROOT, killAtExit, newFolder, removeFolder } from "./program.mjs";
import { within } from "./until.mjs";

const STOCK_SERVER = path.join(ROOT, "tests/js/support/stock_server.mjs");

/** Clients treat it like a `Server`. */
export class StockServer {
  /**
   * Starts a server that stops at the end of the test. `announces`: it sends its documents to peers that have not asked
   * for them. `storage`: "nodefs" for the published storage adapter.
   */
  static async start(t, { announces = true, storage = "" } = {}) {
    const server = new StockServer(newFolder(), announces, storage);
    t.after(() => server.dispose());
    await server.start();
    return server;
  }

  constructor(folder, announces, storage) {
    this.folder = folder;
    this.announces = announces;
    this.storage = storage;
    this.host = ownHost();
    this.port = 0;
    this.clients = [];
  }

  /** Starts the process, on its previous port if it had one, and waits until it listens. */
  async start() {
    const ANNOUNCE = this.announces ? "yes" : "no";
    const env = { ...process.env, HOST: this.host, PORT: String(this.port), DATA_DIR: this.data, ANNOUNCE, STORAGE: this.storage };
    const child = spawn(process.execPath, [STOCK_SERVER], { env, stdio: ["ignore", "pipe", "inherit"] });
    killAtExit(child);
    this.child = child;
    this.exited = once(child, "exit");
    const [line] = await within(once(createInterface(child.stdout), "line"), "the stock server to listen");
    this.port = Number(line.split(" ")[1]);
  }

  /** The folder of its documents. */
  get data() {
    return path.join(this.folder, "data");
  }

  /** Stores everything and ends. */
  async stop() {
    this.child.kill("SIGTERM");
    return within(this.exited, "the stock server to stop");
  }

  ws() {
    return `ws://${this.host}:${this.port}/`;
  }

  /** kill -9. */
  async kill() {
    this.child.kill("SIGKILL");
    return within(this.exited, "the stock server to exit");
  }

  async dispose() {
    for (const client of this.clients.splice(0)) client.close();
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    removeFolder(this.folder);
  }
}
