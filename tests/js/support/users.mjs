// Keys, accounts and tokens, created with the commands that operators use.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { BINARY, run } from "./server.mjs";

export class Users {
  /** A folder with one key, which is removed after the test. */
  static async make(t) {
    const folder = mkdtempSync(path.join(tmpdir(), "happierwork-users-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const users = new Users(path.join(folder, "auth"));
    await users.run("key", "new");
    return users;
  }

  constructor(folder) {
    this.folder = folder;
    /** Flags that make a server accept these users. */
    this.flags = ["--auth", folder];
  }

  async run(...args) {
    const done = await run(...args, ...this.flags);
    if (done.code !== 0) throw new Error(`happierwork ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.trim();
  }

  token(user, role, documents = "*") {
    return this.run("token", "--user", user, "--role", role, "--documents", documents);
  }

  /** An account with a password, for all documents. `flags` name the place of accounts, if it is not the folder. */
  account(name, role, password, flags = []) {
    const args = ["user", "add", name, "--role", role, ...this.flags, ...flags];
    return new Promise((resolve, reject) => {
      const child = execFile(BINARY, args, (error, stdout) => (error ? reject(error) : resolve(stdout)));
      child.stdin.end(`${password}\n`);
    });
  }
}
