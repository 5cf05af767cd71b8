// A stock automerge-repo server, as in the documentation of its packages. It listens at HOST and PORT, and keeps its documents in
// DATA_DIR: with STORAGE=nodefs as the published storage adapter does. With ANNOUNCE=no it sends a document only to peers that request it.
// It stores everything before SIGTERM ends it.

import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { WebSocketServer } from "ws";

import { FolderStorage } from "./storage.mjs";

/**
 * The published adapter, which knows when all its writes have ended. `Repo.flush` does not wait for saves that the repo has begun by
 * itself. They may write the same files as the flush, and a process that ends then leaves these files empty.
 */
class CountingStorage extends NodeFSStorageAdapter {
  #saves = new Set();

  save(key, data) {
    const saved = super.save(key, data).finally(() => this.#saves.delete(saved));
    this.#saves.add(saved);
    return saved;
  }

  async idle() {
    while (this.#saves.size > 0) await Promise.all(this.#saves);
  }
}

const { HOST, PORT, DATA_DIR, ANNOUNCE, STORAGE } = process.env;

const server = new WebSocketServer({ host: HOST, port: Number(PORT) });
const storage = STORAGE === "nodefs" ? new CountingStorage(DATA_DIR) : new FolderStorage(DATA_DIR);
const repo = new Repo({
  network: [new WebSocketServerAdapter(server)],
  storage,
  sharePolicy: async () => ANNOUNCE !== "no",
});
server.on("listening", () => console.log(`listening ${server.address().port}`));
process.on("SIGTERM", async () => {
  await repo.flush();
  await storage.idle?.();
  process.exit(0);
});
