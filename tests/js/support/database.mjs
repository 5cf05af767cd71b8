// Storage of several servers in a PostgreSQL database of their own.

import path from "node:path";

import { demoDocument } from "./files.mjs";
import { postgres } from "./postgres.mjs";
import { must, run } from "./program.mjs";

/** Name of the database that others are copies of. */
const DEMO = "demo";

let databases = 0;
let demo;

/** Creates a database whose default document is the demo document. */
function demoDatabase(server) {
  demo ??= (async () => {
    server.query("postgres", `CREATE DATABASE ${DEMO}`);
    const state = await demoDocument();
    await must("migrate", "--from", `files:${state},${path.dirname(state)}/documents`, "--to", server.url(DEMO));
  })();
  return demo;
}

export class Database {
  /** `state`: `null` for an empty database; undefined for the demo document. */
  static async make(_folder, state) {
    if (state) throw new Error("a database cannot start from a file");
    const server = await postgres();
    const name = `test_${(databases += 1)}`;
    if (state === undefined) await demoDatabase(server);
    server.query("postgres", `CREATE DATABASE ${name} ${state === undefined ? `TEMPLATE ${DEMO}` : ""}`);
    return new Database(server, name);
  }

  constructor(server, name) {
    this.server = server;
    this.name = name;
    this.flags = [];
    /** Flags that tell commands where the accounts are. */
    this.accountFlags = ["--database", server.url(name)];
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

  /** Number of stored documents besides the default document. */
  count() {
    return Number(this.server.query(this.name, "SELECT count(*) FROM document WHERE deleted = 0")) - 1;
  }

  /** The JSON view of the default document. */
  async exported() {
    return JSON.parse(await must("export", "--database", this.server.url(this.name)));
  }

  /** Result of the command `check`. */
  checked() {
    return run("check", "--database", this.server.url(this.name));
  }

  dispose() {
    this.server.query("postgres", `DROP DATABASE IF EXISTS ${this.name} WITH (FORCE)`);
  }
}
