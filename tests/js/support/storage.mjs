// A stock client's storage that lives as long as the test. A client with a storage has a storage id.

import { StorageAdapter } from "@automerge/automerge-repo";

const SEPARATOR = "\0";

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

function isBelow(name, prefix) {
  const key = name.split(SEPARATOR);
  return prefix.every((part, index) => key[index] === part);
}
