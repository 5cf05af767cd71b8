// A client makes many edits offline while others edit: afterwards all copies agree, and no edit is lost.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { legacyClient, plainClient, repoClient, untilDocument } from "./support/clients.mjs";
import { plainList, plainRows, position } from "./support/positions.mjs";
import { RECORDED, Server } from "./support/server.mjs";
import { until } from "./support/until.mjs";

const recorded = JSON.parse(readFileSync(RECORDED, "utf8"));
const ids = recorded.map((row) => row.id);

const JS_EDITS = 500;
const LEGACY_EDITS = 50;

/** 500 changes, one by one: 200 new rows, 260 new budgets of recorded rows, 40 deletions. Returns the expected rows. */
function editOffline(handle) {
  const expected = plainRows(handle.doc());
  let edits = 0;
  const edit = (change) => {
    handle.change(change);
    edits += 1;
  };
  for (let n = 0; n < 200; n += 1) {
    const id = `offline-${n}`;
    const row = position(`Offline ${n}`, { budget: n });
    edit((doc) => {
      doc.positions[id] = row;
    });
    const { designation, department, budget, location } = row;
    expected[id] = { designation, department, budget, location };
  }
  for (let n = 0; n < 260; n += 1) {
    const id = ids[n % 20];
    edit((doc) => {
      doc.positions[id].budget = 1_000 + n;
    });
    expected[id].budget = 1_000 + n;
  }
  // One row that the legacy client deletes as well, and 39 that are only deleted here: 20 recorded ones, 19 new ones.
  for (const id of [ids[59], ...ids.slice(20, 40), ...Array.from({ length: 19 }, (_, n) => `offline-${n}`)]) {
    edit((doc) => {
      delete doc.positions[id];
    });
    delete expected[id];
  }
  assert.equal(edits, JS_EDITS);
  return expected;
}

/** 40 rows and 10 deletions by a legacy client, all acknowledged. Returns the names of the rows. */
async function editLegacy(legacy, label) {
  const added = Array.from({ length: 40 }, (_, n) => `Legacy ${label} ${n}`);
  for (const designation of added) await legacy.add(designation, { budget: "3" });
  for (const id of ids.slice(50, 60)) await legacy.delete(id);
  assert.equal(added.length + 10, LEGACY_EDITS);
  return added;
}

/** All copies hold the expected document: the rows and deletions of both sides, and the last budgets. */
async function everybodyAgrees(t, server, { handle, legacy, plain, expected, added }) {
  for (const id of ids.slice(50, 60)) delete expected[id];
  const entries = new Map(legacy.entries.map((row) => [row.designation, row.id]));
  for (const designation of added) {
    assert.ok(entries.has(designation), `${designation} was announced`);
    expected[entries.get(designation)] = { designation, department: "Engineering", budget: 3, location: "Pune" };
  }
  const wanted = JSON.stringify(sorted(expected));
  const agreed = (doc) => JSON.stringify(plainRows(doc)) === wanted;
  const count = Object.keys(expected).length;
  await untilDocument(handle, agreed, () => `${count} rows at the client that was offline; ${difference(expected, handle.doc())}`);
  await plain.until(agreed, () => `${count} rows at a plain-sync client; ${difference(expected, plain.doc)}`);
  const newcomer = await repoClient(server).find(server.url);
  assert.deepEqual(plainRows(newcomer.doc()), sorted(expected), "a newcomer reads the same");
  assert.deepEqual(plainList(await server.exported()), sorted(expected), "the file holds the same");
  t.diagnostic(`${JS_EDITS} edits offline, ${LEGACY_EDITS} by a legacy client: all agree on ${count} rows`);
}

function sorted(rows) {
  return Object.fromEntries(Object.entries(rows).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function difference(expected, doc) {
  const actual = plainRows(doc);
  const all = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  const other = [...all].filter((id) => JSON.stringify(expected[id]) !== JSON.stringify(actual[id]));
  return `${other.length} differ, such as ${JSON.stringify(other.slice(0, 3).map((id) => [id, expected[id], actual[id]]))}`;
}

/** The legacy table, in a page that was open all the time. */
async function tableAgrees(legacy, expected) {
  const wanted = JSON.stringify(sorted(expected));
  const table = () => JSON.stringify(plainList(legacy.table(recorded)));
  await legacy.until(() => table() === wanted, "the table of the legacy client that stayed connected");
  const rows = legacy.table(recorded);
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length, "no row is shown twice");
}

test("500 offline edits and 50 legacy edits converge", async (t) => {
  const server = await Server.start(t);
  const [client, legacy] = [repoClient(server), await legacyClient(server)];
  const plain = await plainClient(server, server.documentId);
  const handle = await client.find(server.url);
  client.disconnect();
  const expected = editOffline(handle);
  const added = await editLegacy(legacy, "meanwhile");
  assert.equal(Object.keys(handle.doc().positions).filter((id) => id.startsWith("offline")).length, 181);
  assert.ok(!plain.doc.positions?.["offline-100"], "no other client has the edits yet");
  client.reconnect();
  await everybodyAgrees(t, server, { handle, legacy, plain, expected, added });
  await tableAgrees(legacy, expected);
});

for (const [how, end] of [
  ["restarted", (server) => server.stop()],
  ["killed with kill -9 and started again", (server) => server.kill()],
]) {
  test(`they converge with the server ${how} twice`, async (t) => {
    const server = await Server.start(t);
    const [client, legacy] = [repoClient(server), await legacyClient(server, { comesBack: true })];
    const plain = await plainClient(server, server.documentId, { comesBack: true });
    const handle = await client.find(server.url);
    client.disconnect();
    const added = await editLegacy(legacy, "before");
    await end(server);
    const expected = editOffline(handle);
    await server.start();
    client.reconnect();
    // Stop the server as soon as it has the first of these edits. The client sends again all that were not acknowledged.
    await plain.until((doc) => doc.positions?.["offline-100"], "the first of the offline edits to get through");
    await end(server);
    await server.start();
    await everybodyAgrees(t, server, { handle, legacy, plain, expected, added });
  });
}

for (const [how, end] of [
  ["stopped", (server) => server.stop()],
  ["killed with kill -9", (server) => server.kill()],
]) {
  test(`edits made while the server is ${how} arrive afterwards`, async (t) => {
    const server = await Server.start(t);
    const client = repoClient(server);
    const legacy = await legacyClient(server, { comesBack: true });
    const plain = await plainClient(server, server.documentId, { comesBack: true });
    const handle = await client.find(server.url);
    const added = await editLegacy(legacy, "before the end");
    await untilDocument(handle, (doc) => !doc.positions[ids[59]], "the client to have seen the last legacy edit");
    await end(server);
    await until(() => !client.repo.peers.length, "the client to notice", [client.repo.networkSubsystem, "peer-disconnected"]);
    // Deleted ids cannot be edited: the ten of the legacy client are not among the twenty edited here.
    const expected = editOffline(handle);
    await server.start();
    await everybodyAgrees(t, server, { handle, legacy, plain, expected, added });
  });
}

test("edits received while the server stops do no harm", async (t) => {
  const server = await Server.start(t);
  const client = repoClient(server);
  const handle = await client.find(server.url);
  const legacy = await legacyClient(server, { comesBack: true });
  const ROUNDS = 10;
  for (let round = 0; round < ROUNDS; round += 1) {
    await legacy.until(() => legacy.socket, "the legacy client to be back");
    await until(() => client.repo.peers.length, "the stock client to be back", [client.repo.networkSubsystem, "peer"]);
    // An exception while receiving would leave the client's copy of the document unusable.
    const adding = Promise.allSettled(Array.from({ length: 20 }, (_, n) => legacy.add(`Stopped ${round} ${n}`)));
    await untilDocument(
      handle,
      (doc) => Object.values(doc.positions).some((row) => row.designation.startsWith(`Stopped ${round} `)),
      "the first of the edits",
    );
    await server.stop();
    await adding;
    handle.change((doc) => (doc.positions[ids[round]].budget = 7_000 + round));
    await server.start();
    await client.saved(handle);
  }
  const stored = await server.exported();
  for (let round = 0; round < ROUNDS; round += 1) {
    assert.equal(stored.find((row) => row.id === ids[round]).budget, 7_000 + round);
  }
  assert.deepEqual(plainList(stored), plainRows(handle.doc()));
});
