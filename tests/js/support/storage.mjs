// Storages of stock clients and servers. A peer with a storage has a storage id.

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { StorageAdapter } from "@automerge/automerge-repo";

const SEPARATOR = "\0";

/** A storage that lives as long as the test. */
export class MemoryStorage extends StorageAdapter {
  #entries = new Map();

  async load(key) {
    return this.#entries.get(key.join(SEPARATOR));
  }

  async save(key, data) {
    this.#entries.set(key.join(SEPARATOR), data);
  }

  async remove(key) {
    this.#entries.delete(key.join(SEPARATOR));
  }

  async loadRange(prefix) {
    const matches = [...this.#entries].filter(([name]) => isBelow(name, prefix));
    return matches.map(([name, data]) => ({ key: name.split(SEPARATOR), data }));
  }

  async removeRange(prefix) {
    for (const name of [...this.#entries.keys()]) if (isBelow(name, prefix)) this.#entries.delete(name);
  }
}

/** A storage in a folder, with a file per key, that survives its process. */
export class FolderStorage extends StorageAdapter {
  constructor(folder) {
    super();
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  async load(key) {
    try {
      return new Uint8Array(readFileSync(this.#file(key)));
    } catch (error) {
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  async save(key, data) {
    // The process may be killed at any time.
    writeFileSync(`${this.#file(key)}.new`, data);
    renameSync(`${this.#file(key)}.new`, this.#file(key));
  }

  async remove(key) {
    rmSync(this.#file(key), { force: true });
  }

  async loadRange(prefix) {
    return Promise.all(this.#keys(prefix).map(async (key) => ({ key, data: await this.load(key) })));
  }

  async removeRange(prefix) {
    for (const key of this.#keys(prefix)) await this.remove(key);
  }

  #file(key) {
    return path.join(this.folder, key.join("_"));
  }

  #keys(prefix) {
    const names = readdirSync(this.folder).filter((name) => !name.endsWith(".new"));
    return names.map((name) => name.split("_")).filter((key) => prefix.every((part, index) => key[index] === part));
  }
}

function isBelow(name, prefix) {
  const key = name.split(SEPARATOR);
  return prefix.every((part, index) => key[index] === part);
}
