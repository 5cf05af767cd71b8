// Storage of several servers in a PostgreSQL database of their own.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import * as Automerge from "@automerge/automerge";
import WebSocket from "ws";

import { demoDocument } from "./files.mjs";
import { postgres } from "./postgres.mjs";
import { Program, must, run } from "./program.mjs";
import { within } from "./until.mjs";

/** Name of the database that others are copies of. */
const DEMO = "demo";

let databases = 0;
let demo;

/** Makes a database whose default document is the demo document. */
function demoDatabase(server) {
  demo ??= (async () => {
    server.query("postgres", `CREATE DATABASE ${DEMO}`);
    const program = new Program("127.0.0.1", { HAPPIERWORK_DATABASE: server.url(DEMO) });
    program.spawn([]);
    await within(program.listening, "a server on an empty database");
    const doc = Automerge.load(new Uint8Array(readFileSync(await demoDocument())));
    await uploaded(program, doc);
    program.child.kill("SIGTERM");
    await within(program.exited, "the server to stop");
    // In place of the document that the server made for itself.
    server.query(DEMO, `UPDATE meta SET value = '${doc.documentId}' WHERE name = 'default document'`);
    for (const [table, id] of [["document", "id"], ["batch", "document"], ["snapshot", "document"]]) {
      server.query(DEMO, `DELETE FROM ${table} WHERE ${id} <> '${doc.documentId}'`);
    }
  })();
  return demo;
}

/** Sends a document under its own id, and waits until the server has stored it. */
async function uploaded(program, doc) {
  const socket = new WebSocket(program.ws(`/sync/${doc.documentId}`));
  socket.binaryType = "nodebuffer";
  let sync = Automerge.initSyncState();
  const talk = () => {
    const [next, message] = Automerge.generateSyncMessage(doc, sync);
    sync = next;
    if (message) socket.send(message);
  };
  const stored = new Promise((resolve, reject) => {
    socket.on("open", talk).on("error", reject);
    socket.on("message", (data) => {
      [doc, sync] = Automerge.receiveSyncMessage(doc, sync, new Uint8Array(data));
      talk();
      if (String(sync.theirHeads) === String(Automerge.getHeads(doc))) resolve();
    });
  });
  await within(stored, "the demo document to be stored");
  socket.terminate();
}

export class Database {
  /** `state`: `null` for an empty database; without it, the demo document. */
  static async make(folder, state) {
    if (state) throw new Error("a database does not begin with a file");
    const server = await postgres();
    const name = `test_${(databases += 1)}`;
    if (state === undefined) await demoDatabase(server);
    server.query("postgres", `CREATE DATABASE ${name} ${state === undefined ? `TEMPLATE ${DEMO}` : ""}`);
    return new Database(server, name, folder);
  }

  constructor(server, name, folder) {
    this.server = server;
    this.name = name;
    this.copy = path.join(folder, "copy.automerge");
    this.flags = [];
    this.environment = { HAPPIERWORK_DATABASE: server.url(name) };
  }

  /** The stored bytes of the default document: a snapshot, and the batches after it. */
  bytes() {
    const id = "(SELECT convert_from(value, 'UTF8') FROM meta WHERE name = 'default document')";
    const rows = this.server.query(
      this.name,
      `SELECT encode(bytes, 'hex') FROM snapshot WHERE document = ${id}
       UNION ALL (SELECT encode(chunks, 'hex') FROM batch WHERE document = ${id} AND kind = 0
         AND seq > coalesce((SELECT seq FROM snapshot WHERE document = ${id}), 0) ORDER BY seq)`,
    );
    return new Uint8Array(Buffer.from(rows.replaceAll("\n", ""), "hex"));
  }

  /** How many documents are stored besides the default document. */
  count() {
    return Number(this.server.query(this.name, "SELECT count(*) FROM document WHERE deleted = 0")) - 1;
  }

  /** The JSON view of the stored bytes. */
  async exported() {
    writeFileSync(this.copy, this.bytes());
    return JSON.parse(await must("export", "--state", this.copy));
  }

  /** Result of the command `check` on the stored bytes. */
  checked() {
    writeFileSync(this.copy, this.bytes());
    return run("check", this.copy);
  }

  dispose() {
    this.server.query("postgres", `DROP DATABASE IF EXISTS ${this.name} WITH (FORCE)`);
  }
}
