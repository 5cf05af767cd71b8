// A stock automerge-repo server, as in the documentation of its packages. It listens at HOST and PORT, and keeps its documents in
// DATA_DIR: with STORAGE=nodefs as the published storage adapter does. With ANNOUNCE=no it sends a document only to peers that request it.
// It stores everything before SIGTERM ends it.

import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { WebSocketServer } from "ws";

import { FolderStorage } from "./storage.mjs";

const { HOST, PORT, DATA_DIR, ANNOUNCE, STORAGE } = process.env;

const server = new WebSocketServer({ host: HOST, port: Number(PORT) });
const repo = new Repo({
  network: [new WebSocketServerAdapter(server)],
  storage: STORAGE === "nodefs" ? new NodeFSStorageAdapter(DATA_DIR) : new FolderStorage(DATA_DIR),
  sharePolicy: async () => ANNOUNCE !== "no",
});
server.on("listening", () => console.log(`listening ${server.address().port}`));
process.on("SIGTERM", async () => {
  await repo.flush();
  process.exit(0);
});
