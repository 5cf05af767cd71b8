// A stock automerge-repo server, as in the documentation of its packages. It listens at HOST and PORT, and keeps its documents in
// DATA_DIR. With ANNOUNCE=no it sends a document only to peers that request it.

import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { WebSocketServer } from "ws";

import { FolderStorage } from "./storage.mjs";

const { HOST, PORT, DATA_DIR, ANNOUNCE } = process.env;

const server = new WebSocketServer({ host: HOST, port: Number(PORT) });
new Repo({
  network: [new WebSocketServerAdapter(server)],
  storage: new FolderStorage(DATA_DIR),
  sharePolicy: async () => ANNOUNCE !== "no",
});
server.on("listening", () => console.log(`listening ${server.address().port}`));
