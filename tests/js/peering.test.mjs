// The server dials a stock automerge-repo server. Both keep their documents in step, whichever is killed.

import assert from "node:assert/strict";
import { test } from "node:test";

import { repoClient, untilDocument } from "./support/clients.mjs";
import { position } from "./support/positions.mjs";
import { Server } from "./support/server.mjs";
import { StockServer } from "./support/stock.mjs";

const has = (id) => (doc) => doc.positions?.[id] !== undefined;
const add = (handle, id) =>
  handle.change((doc) => {
    doc.positions[id] = position(`Engineer ${id}`);
  });

/** Both servers, each with a stock client that has the demo plan. */
async function pair(t) {
  const stock = await StockServer.start(t);
  const ours = await Server.start(t, { flags: ["--peer", stock.ws()] });
  const clients = { ours: repoClient(ours), stock: repoClient(stock) };
  const atOurs = await clients.ours.find(ours.url);
  // The stock server has received it without a request.
  const atStock = await clients.stock.find(ours.url);
  return { stock, ours, clients, atOurs, atStock };
}

test("edits at a stock server and here reach each other", async (t) => {
  const { atOurs, atStock } = await pair(t);
  assert.equal(Object.keys(atStock.doc().positions).length, 60);
  add(atStock, "from stock");
  await untilDocument(atOurs, has("from stock"), "the edit at the stock server");
  add(atOurs, "from ours");
  await untilDocument(atStock, has("from ours"), "the edit at our server");
});

test("new documents of either server reach the other", async (t) => {
  const { clients, ours, stock } = await pair(t);
  const made = clients.stock.repo.create({ positions: {} });
  await clients.stock.saved(made);
  const found = await repoClient(ours).find(made.url);
  add(found, "a reply");
  await untilDocument(made, has("a reply"), "the edit at our server");

  const second = clients.ours.repo.create({ positions: {} });
  await clients.ours.saved(second);
  const copy = await repoClient(stock).find(second.url);
  add(copy, "a reply");
  await untilDocument(second, has("a reply"), "the edit at the stock server");
});

test("a document that is not announced is fetched on request", async (t) => {
  const stock = await StockServer.start(t, { announces: false });
  const author = repoClient(stock);
  await author.server();
  const made = author.repo.create({ positions: {} });
  add(made, "old");
  await author.saved(made);
  const ours = await Server.start(t, { flags: ["--peer", stock.ws()] });
  const client = repoClient(ours);
  // Until the servers are connected, the document is unavailable.
  await connected(ours);
  const found = await client.find(made.url);
  assert.ok(has("old")(found.doc()));
  add(found, "new");
  await untilDocument(made, has("new"), "the edit at our server");
  add(made, "newer");
  await untilDocument(found, has("newer"), "the edit at the stock server");
});

test("nothing is lost when the stock server is killed", async (t) => {
  const { stock, atOurs, atStock } = await pair(t);
  add(atStock, "before");
  await untilDocument(atOurs, has("before"), "the edit at the stock server");
  await stock.kill();
  add(atOurs, "meanwhile");
  add(atStock, "offline");
  await stock.start();
  await untilDocument(atStock, has("meanwhile"), "the edit that was made at our server meanwhile");
  await untilDocument(atOurs, has("offline"), "the edit that a client of the stock server made offline");
});

test("nothing is lost when our server is killed", async (t) => {
  const { ours, atOurs, atStock } = await pair(t);
  add(atOurs, "before");
  await untilDocument(atStock, has("before"), "the edit at our server");
  await ours.kill();
  add(atStock, "meanwhile");
  add(atOurs, "offline");
  await ours.start();
  await untilDocument(atOurs, has("meanwhile"), "the edit that was made at the stock server meanwhile");
  await untilDocument(atStock, has("offline"), "the edit that a client of our server made offline");
});

test("presence at a stock server is seen here", async (t) => {
  const { atOurs, atStock } = await pair(t);
  const seen = new Promise((resolve) => atOurs.once("ephemeral-message", ({ message }) => resolve(message)));
  // Ephemeral messages may be lost.
  const timer = setInterval(() => atStock.broadcast({ cursor: 7 }), 100);
  t.after(() => clearInterval(timer));
  assert.deepEqual(await seen, { cursor: 7 });
});

/** Waits until the server has connected to its peer. */
async function connected(server) {
  for (;;) {
    const metrics = await (await fetch(server.http("/metrics"))).text();
    if (/^happierwork_peering_connected\{.*\} 1$/m.test(metrics)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
