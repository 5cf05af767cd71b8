// Storage of a server in files of its own.

import { copyFileSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { must, newFolder, run } from "./program.mjs";
import { RECORDED } from "./recorded.mjs";

let demo;
/** File with the demo document: imported once, copied for each server. */
export function demoDocument() {
  demo ??= (async () => {
    const file = path.join(newFolder(), "state.automerge");
    await must("import", RECORDED, "--state", file, "--name", "Growth 2027", "--total-budget", "2000");
    return file;
  })();
  return demo;
}

export class Files {
  /** `state`: a file to start from; `null` for none; undefined for the demo document. */
  static async make(folder, state) {
    const files = new Files(folder);
    const source = state === undefined ? await demoDocument() : state;
    if (source) copyFileSync(source, files.state);
    return files;
  }

  constructor(folder) {
    this.state = path.join(folder, "state.automerge");
    this.documents = path.join(folder, "documents");
    this.environment = {};
    /** Flags that tell commands where the accounts are: none, as they are in the folder that each command names. */
    this.accountFlags = [];
    mkdirSync(this.documents);
  }

  get flags() {
    return ["--state", this.state, "--documents", this.documents];
  }

  /** The stored bytes of the default document. */
  bytes() {
    return new Uint8Array(readFileSync(this.state));
  }

  /** Number of stored documents besides the default document. */
  count() {
    return readdirSync(this.documents).filter((name) => name.endsWith(".automerge")).length;
  }

  /** The JSON view of the default document. */
  async exported() {
    return JSON.parse(await must("export", "--state", this.state));
  }

  /** Result of the command `check` on the default document. */
  checked() {
    return run("check", this.state);
  }

  dispose() {}
}
