// The smallest sync server that follows the documentation of the current automerge-repo packages. Settings are as in
// the published sync server: PORT and DATA_DIR; documents are not announced to peers that did not ask for them.

import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { WebSocketServer } from "ws";

const { PORT, DATA_DIR } = process.env;

new Repo({
  network: [new WebSocketServerAdapter(new WebSocketServer({ host: "127.0.0.1", port: Number(PORT) }))],
  storage: new NodeFSStorageAdapter(DATA_DIR),
  sharePolicy: async () => false,
});
