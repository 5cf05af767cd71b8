// A stock client in a separate process: Node reads NODE_EXTRA_CA_CERTS at startup.
//
// node encrypted_client.mjs wss://… automerge:… DESIGNATION: adds a position, and prints the positions once it is saved.

import { repoClient } from "./clients.mjs";
import { add, designations } from "./positions.mjs";

const [address, document, designation] = process.argv.slice(2);
const client = repoClient({ ws: () => address, clients: [] });
const handle = await client.find(document);
handle.change(add(designation));
await client.saved(handle);
console.log(JSON.stringify(designations(handle.doc())));
client.close();
process.exit(0);
