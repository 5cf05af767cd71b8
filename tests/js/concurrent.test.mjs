// Concurrent writes of two clients: both are kept.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as Automerge from "@automerge/automerge";

import { legacyClient, plainClient, repoClient, untilDocument } from "./support/clients.mjs";
import { add, assertSame, designations, open } from "./support/positions.mjs";
import { RECORDED, Server } from "./support/server.mjs";

const recorded = JSON.parse(readFileSync(RECORDED, "utf8"));
const ROUNDS = 100;

/** The new designations in the file, which only the server has written. */
function stored(server) {
  const old = new Set(recorded.map((row) => row.designation));
  return designations(open(server.bytes())).filter((designation) => !old.has(designation));
}

/** Every row is announced to a legacy client, once. */
async function heardAll(client, expected) {
  const enough = () => client.entries.length >= expected.length;
  await client.until(enough, () => `${client.entries.length} of ${expected.length} legacy entries`);
  assertSame(client.entries.map((row) => row.designation), expected, "announced to a legacy client");
}

test(`two legacy clients add at once: no row is lost`, async (t) => {
  const server = await Server.start(t);
  const clients = [await legacyClient(server), await legacyClient(server)];
  const expected = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const names = clients.map((_, who) => `two-${round}-${who}`);
    await Promise.all(clients.map((client, who) => client.add(names[who])));
    expected.push(...names);
  }
  for (const client of clients) {
    await heardAll(client, expected);
  }
  assertSame(stored(server), expected, "rows in the file");
  t.diagnostic(`${ROUNDS} rounds: ${stored(server).length} of ${2 * ROUNDS} rows`);
});

test(`a legacy and a stock client add at once: no row is lost`, async (t) => {
  const server = await Server.start(t);
  const [legacy, client] = [await legacyClient(server), repoClient(server)];
  const handle = await client.find(server.url);
  const expected = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const names = [`legacy-${round}`, `stock-${round}`];
    // The stock client sends its change after up to 100 ms. The legacy add is sent at the same moment.
    const sends = new Promise((resolve) => client.repo.synchronizer.once("message", resolve));
    handle.change(add(names[1]));
    await sends;
    await Promise.all([legacy.add(names[0]), legacy.entry((row) => row.id === names[1], `of ${names[1]}`)]);
    expected.push(...names);
  }
  const total = recorded.length + 2 * ROUNDS;
  await untilDocument(handle, (doc) => Object.keys(doc.positions).length === total, `${total} rows at the stock client`);
  await heardAll(legacy, expected);
  assertSame(stored(server), expected, "rows in the file");
  t.diagnostic(`${ROUNDS} rounds: ${stored(server).length} of ${2 * ROUNDS} rows`);
});

test("ten clients of three kinds add 50 rows each: none is lost", async (t) => {
  const server = await Server.start(t);
  const legacy = await Promise.all(Array.from({ length: 4 }, () => legacyClient(server)));
  const repos = Array.from({ length: 3 }, () => repoClient(server));
  const handles = await Promise.all(repos.map((client) => client.find(server.url)));
  const plains = await Promise.all(Array.from({ length: 3 }, () => plainClient(server, server.documentId)));
  await Promise.all(plains.map((plain) => plain.until((doc) => doc.positions, "the document")));
  const writers = [
    ...legacy.map((client) => (name) => client.add(name)),
    ...handles.map((handle) => (name) => handle.change(add(name))),
    ...plains.map((plain) => (name) => plain.change(add(name))),
  ];
  const expected = writers.flatMap((_, who) => Array.from({ length: 50 }, (_, n) => `ten-${who}-${n}`));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await Promise.all(
    writers.map(async (write, who) => {
      for (let n = 0; n < 50; n += 1) {
        await write(`ten-${who}-${n}`);
        await turn();
      }
    }),
  );
  const total = recorded.length + expected.length;
  const complete = (doc) => Object.keys(doc.positions).length === total;
  await Promise.all([
    ...handles.map((handle) => untilDocument(handle, complete, `${total} rows at a stock client`)),
    ...plains.map((plain) => plain.until(complete, `${total} rows at a plain-sync client`)),
    ...legacy.map((client) => heardAll(client, expected)),
  ]);
  const docs = [...handles.map((handle) => handle.doc()), ...plains.map((plain) => plain.doc)];
  const heads = new Set(docs.map((doc) => String(Automerge.getHeads(doc).sort())));
  assert.equal(heads.size, 1, "all are at the same heads");
  assertSame(stored(server), expected, "rows in the file");
  t.diagnostic(`ten clients: ${stored(server).length} of ${expected.length} rows`);
});

test("concurrent writes to a field yield a winner and a conflict", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const clients = [repoClient(server), repoClient(server)];
  const handles = await Promise.all(clients.map((client) => client.find(server.url)));
  const { id } = recorded[3];
  // In one turn of the event loop: neither client can have received the other's change.
  const values = [45_000, 50_000];
  handles.forEach((handle, who) => handle.change((doc) => (doc.positions[id].budget = values[who])));
  const names = ["Dev (CEO)", "Dev (CFO)"];
  handles.forEach((handle, who) => handle.change((doc) => (doc.positions[id].designation = names[who])));
  const conflicts = (doc, field) => Object.values(Automerge.getConflicts(doc.positions[id], field) ?? {}).map(String).sort();
  const both = (doc) => conflicts(doc, "budget").length === 2 && conflicts(doc, "designation").length === 2;
  await Promise.all(handles.map((handle) => untilDocument(handle, both, "both writes at a stock client")));
  const [one, other] = handles.map((handle) => handle.doc().positions[id]);
  assert.equal(one.budget, other.budget);
  assert.equal(one.designation, other.designation);
  assert.deepEqual(conflicts(handles[0].doc(), "budget"), values.map(String));
  assert.deepEqual(conflicts(handles[0].doc(), "designation"), names);

  const shown = (await server.exported()).find((row) => row.id === id);
  assert.equal(shown.budget, one.budget, "the server shows the same winner");
  assert.equal(shown.designation, one.designation);
  assert.deepEqual(shown.conflicts, {
    budget: values.filter((value) => value !== one.budget),
    designation: names.filter((name) => name !== one.designation),
  });
  await legacy.until(
    () => legacy.table(recorded).find((row) => row.id === id)?.budget === String(one.budget),
    "the winner at a legacy client",
  );

  handles[0].change((doc) => {
    doc.positions[id].budget = 47_000;
    doc.positions[id].designation = "Dev";
  });
  await untilDocument(handles[1], (doc) => doc.positions[id].budget === 47_000, "the next write");
  const settled = (await server.exported()).find((row) => row.id === id);
  assert.deepEqual([settled.budget, settled.designation, settled.conflicts], [47_000, "Dev", undefined], "settled");
});
