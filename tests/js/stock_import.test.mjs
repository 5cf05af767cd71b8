// The documents of a stock sync server move to the real server under their URLs, and its clients go on with them.
//
// HAPPIERWORK_IMPORT_DOCUMENTS=1000 makes a thousand documents, as a check of larger servers.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";

import * as Automerge from "@automerge/automerge";
import { Counter } from "@automerge/automerge";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";

import { leave, repoClient, untilDocument } from "./support/clients.mjs";
import { testOfFiles as test } from "./support/needs.mjs";
import { Server, run } from "./support/server.mjs";
import { StockServer } from "./support/stock.mjs";

const COUNT = Number(process.env.HAPPIERWORK_IMPORT_DOCUMENTS ?? 25);

/** The content of a document with what an application stores in one. */
const content = (number) => ({
  title: `Document ${number}`,
  due: new Date(1_700_000_000_000 + number),
  votes: new Counter(number),
  bytes: new Uint8Array([number % 256]),
  items: Array.from({ length: number % 7 }, (_, item) => ({ text: `Item ${item}`, done: item % 2 === 0 })),
});

test("clients of a stock server go on with the same URLs after an import", async (t) => {
  const stock = await StockServer.start(t, { storage: "nodefs" });
  const author = repoClient(stock);
  await author.server();
  const handles = Array.from({ length: COUNT }, (_, number) => author.repo.create(content(number)));
  for (const handle of handles) {
    handle.change((doc) => doc.votes.increment(5));
    await author.saved(handle);
  }
  // A second life of the server: its folder then has snapshots and later increments.
  await stock.stop();
  await stock.start();
  await author.server();
  for (const [number, handle] of handles.entries()) {
    if (number % 2 === 0) handle.change((doc) => (doc.title += " (changed)"));
  }
  for (const handle of handles) await author.saved(handle);
  await stock.stop();
  author.disconnect();
  handles[0].change((doc) => (doc.offline = "made while no server was there"));

  const server = await Server.prepare(t, { state: null });
  const { code, stdout: out, stderr: err } = await run("import", stock.data, ...server.storage.flags);
  assert.deepEqual([code, err], [0, ""], out);
  assert.match(out, new RegExp(`${COUNT} documents: ${COUNT} imported and verified, 0 completed, 0 already there, 0 not imported`));
  assert.equal(readdirSync(server.storage.documents).filter((name) => name.endsWith(".automerge")).length, COUNT);
  const again = await run("import", stock.data, ...server.storage.flags);
  assert.match(again.stdout, new RegExp(`0 imported and verified, 0 completed, ${COUNT} already there`));

  await server.start();
  const reader = repoClient(server);
  for (const handle of handles.slice(1)) {
    const found = await reader.find(handle.url);
    assert.deepEqual(found.heads(), handle.heads(), handle.url);
    assert.deepEqual(Automerge.toJS(found.doc()), Automerge.toJS(handle.doc()), handle.url);
  }
  // The application of the author gets the address of the new server, and keeps its documents.
  const adapter = new WebSocketClientAdapter(server.ws("/sync"), 100);
  t.after(() => leave(adapter));
  author.repo.networkSubsystem.addNetworkAdapter(adapter);
  const found = await reader.find(handles[0].url);
  await untilDocument(found, (doc) => doc.offline !== undefined, "the change that was made offline");
  const last = handles.at(-1);
  const theirs = await reader.find(last.url);
  theirs.change((doc) => (doc.title = "From a reader"));
  await untilDocument(last, (doc) => doc.title === "From a reader", "an edit of another client");
});
