// All kinds of clients at once: each sees the edits of the others over its own protocol.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as Automerge from "@automerge/automerge";
import { generateAutomergeUrl } from "@automerge/automerge-repo";

import {
  encodeHeads,
  legacyClient,
  plainClient,
  rawSocket,
  repoClient,
  rest,
  untilDocument,
} from "./support/clients.mjs";
import { testOfStorages } from "./support/needs.mjs";
import { add, plainList, plainRows, position } from "./support/positions.mjs";
import { RECORDED, Server } from "./support/server.mjs";
import { eventually, until } from "./support/until.mjs";

const recorded = JSON.parse(readFileSync(RECORDED, "utf8"));

test("a stock client reads the imported document", async (t) => {
  const server = await Server.start(t);
  const handle = await repoClient(server).find(server.url);
  const doc = handle.doc();
  assert.equal(Object.keys(doc.positions).length, 60);
  assert.deepEqual(plainRows(doc), plainList(recorded));
  for (const [id, row] of Object.entries(doc.positions)) {
    for (const field of ["designation", "department", "location", "updatedBy"]) {
      assert.equal(typeof row[field], "string", `${field} of ${id}`);
    }
    assert.equal(typeof row.budget, "number", `budget of ${id}`);
    assert.ok(row.createdAt instanceof Date && row.updatedAt instanceof Date, `times of ${id}`);
  }
  assert.equal(doc.documentId, server.documentId);
  assert.equal(doc.name, "Growth 2027");
  assert.equal(doc.totalBudget, 2000);
});

test("a stock client's position reaches all kinds of clients", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const plain = await plainClient(server, server.documentId);
  const [author, reader] = [repoClient(server), repoClient(server)];
  const [mine, theirs] = [await author.find(server.url), await reader.find(server.url)];
  mine.change(add("js-1", { designation: "Chief Clown", budget: 12.5, department: "HR", location: "Köln" }));
  const entry = await legacy.entry((row) => row.id === "js-1", "of the new position");
  assert.equal(entry.designation, "Chief Clown");
  assert.equal(entry.budget, "12.5");
  assert.equal(entry.department, "HR");
  assert.equal(entry.location, "Köln");
  assert.equal(entry.lastUpdated[0], "js");
  await untilDocument(theirs, (doc) => doc.positions["js-1"], "a second stock client to see the position");
  await plain.until((doc) => doc.positions?.["js-1"], "a plain-sync client to see the position");
  assert.deepEqual(plainRows(theirs.doc()), plainRows(mine.doc()));
  assert.deepEqual(plainRows(plain.doc), plainRows(mine.doc()));
  assert.equal(legacy.entries.filter((row) => row.id === "js-1").length, 1, "announced once");
  assert.deepEqual(plainList(await server.exported()), plainRows(mine.doc()));
});

test("a stock client's position is listed first on GET /data/", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const handle = await repoClient(server).find(server.url);
  handle.change(add("js-1"));
  await legacy.entry((row) => row.id === "js-1", "of the new position");
  // Another server of the database may answer, which hears of the position a moment later.
  const rows = await eventually(async () => {
    const rows = await rest(server).rows();
    return rows.length > 60 && rows;
  }, "GET /data/ to have the position");
  assert.equal(rows.length, 61);
  assert.equal(rows[0].id, "js-1");
  assert.equal(rows[0].budget, 12);
});

test("a position added over REST reaches legacy and stock clients", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const handle = await repoClient(server).find(server.url);
  const row = { designation: "By REST", department: "Sales", budget: "7", location: "Goa" };
  const answer = await rest(server).post("/data/add/", row);
  assert.equal(answer.status, 201);
  const entry = await legacy.entry(({ designation }) => designation === "By REST", "of the position added over REST");
  await untilDocument(handle, (doc) => doc.positions[entry.id], "a stock client to see it");
  assert.equal(handle.doc().positions[entry.id].budget, 7);
});

test("a legacy client's position reaches stock and plain clients", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const plain = await plainClient(server, server.documentId);
  const handle = await repoClient(server).find(server.url);
  await legacy.add("UI, \"senior\"", { budget: "1,50,000", location: "Ahmedabad" });
  const { id } = await legacy.entry((row) => row.designation === 'UI, "senior"', "of the own row");
  await untilDocument(handle, (doc) => doc.positions[id], "a stock client to see the legacy row");
  await plain.until((doc) => doc.positions[id], "a plain-sync client to see the legacy row");
  for (const doc of [handle.doc(), plain.doc]) {
    const { createdAt, updatedAt, ...row } = doc.positions[id];
    assert.deepEqual(row, {
      designation: 'UI, "senior"',
      department: "Engineering",
      budget: 150_000,
      location: "Ahmedabad",
      updatedBy: "Admin",
    });
    assert.ok(Math.abs(Date.now() - createdAt) < 60_000 && updatedAt instanceof Date);
  }
});

test("an edit reaches legacy clients as deleted_id, entry, trailer", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const handle = await repoClient(server).find(server.url);
  const { id } = recorded[7];
  const before = legacy.frames.length;
  handle.change((doc) => {
    doc.positions[id].budget = 99;
    doc.positions[id].location = "Lisbon";
  });
  await legacy.until(({ frames }) => frames.length >= before + 3, "three frames about an edit");
  const [gone, entry, trailer] = legacy.frames.slice(before);
  assert.equal(gone.deleted_id, id);
  assert.deepEqual([entry.entry.id, entry.entry.budget, entry.entry.location], [id, "99", "Lisbon"]);
  assert.deepEqual([trailer.status, trailer.elementID], ["Data added successfully", null]);
});

test("edits of plain-sync and stock clients reach each other", async (t) => {
  const server = await Server.start(t);
  const plain = await plainClient(server, server.documentId);
  const handle = await repoClient(server).find(server.url);
  const [one, other] = recorded;
  await plain.until((doc) => doc.positions?.[one.id], "the plain-sync client to have the document");
  plain.change((doc) => (doc.positions[one.id].designation = "Written plainly"));
  const arrived = (doc) => doc.positions[one.id].designation === "Written plainly";
  await untilDocument(handle, arrived, "the stock client to see the plain edit");
  handle.change((doc) => (doc.positions[other.id].designation = "Written by a repo"));
  await plain.until((doc) => doc.positions[other.id].designation === "Written by a repo", "the plain one to see it");
});

test("deletions by stock and legacy clients reach all others", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const plain = await plainClient(server, server.documentId);
  const handle = await repoClient(server).find(server.url);
  const [one, other] = recorded;
  handle.change((doc) => {
    delete doc.positions[one.id];
  });
  await legacy.until(({ frames }) => frames.some((frame) => frame.deleted_id === one.id), "a deleted_id frame");
  await legacy.delete(other.id);
  await untilDocument(handle, (doc) => !doc.positions[other.id], "the stock client to lose the row");
  await plain.until((doc) => doc.positions && !doc.positions[one.id] && !doc.positions[other.id], "both rows to go");
  assert.equal(Object.keys(plain.doc.positions).length, 58);
  assert.deepEqual(plainRows(handle.doc()), plainRows(plain.doc));
});

test("a client's new document survives a restart", async (t) => {
  const server = await Server.start(t);
  const author = repoClient(server);
  const handle = author.repo.create({ hello: "world", list: [1, { deep: true }] });
  await author.saved(handle);
  author.close();
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await server.start();
  const found = await repoClient(server).find(handle.url);
  assert.deepEqual({ ...found.doc() }, { hello: "world", list: [1, { deep: true }] });
});

test("an acknowledged new document survives kill -9", async (t) => {
  const server = await Server.start(t);
  const author = repoClient(server);
  const handle = author.repo.create({ hello: "world" });
  await author.saved(handle);
  await server.kill();
  author.close();
  await server.start();
  const found = await repoClient(server).find(handle.url);
  assert.equal(found.doc().hello, "world");
});

test("an unavailable document reaches its requester once created", async (t) => {
  const server = await Server.start(t);
  const client = repoClient(server);
  const url = generateAutomergeUrl();
  await assert.rejects(client.find(url), /unavailable/);
  const documentId = url.slice("automerge:".length);
  const maker = await plainClient(server, documentId);
  maker.change((doc) => (doc.appeared = "later"));
  const handle = client.repo.handles[documentId];
  await handle.whenReady();
  assert.equal(handle.doc().appeared, "later");
  assert.equal((await client.find(url)).doc().appeared, "later", "and find succeeds");
  assert.equal((await repoClient(server).find(url)).doc().appeared, "later", "for newcomers too");
});

test("a pending find succeeds when the document is created", async (t) => {
  const server = await Server.start(t);
  const url = generateAutomergeUrl();
  const documentId = url.slice("automerge:".length);
  const asker = await rawSocket(server);
  const { senderId: targetId } = await asker.join("asker");
  const [, data] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  asker.send({ type: "request", senderId: "asker", targetId, documentId, data });
  await asker.message("doc-unavailable", (message) => message.documentId === documentId);
  const maker = await plainClient(server, documentId);
  maker.change((doc) => (doc.appeared = true));
  const sync = await asker.message("sync", (message) => message.documentId === documentId);
  assert.equal(sync.targetId, "asker");
  assert.equal(Automerge.decodeSyncMessage(sync.data).heads.length, 1);
});

test("an ephemeral message reaches its document's clients once", async (t) => {
  const server = await Server.start(t);
  const ears = [];
  const listen = async (url) => {
    const client = repoClient(server);
    const handle = await client.find(url);
    const heard = [];
    // At the adapter: the repo itself hides duplicates.
    const { documentId } = handle;
    client.adapter.on("message", (message) => {
      if (message.type === "ephemeral" && message.documentId === documentId) heard.push(message);
    });
    const understood = [];
    handle.on("ephemeral-message", ({ message }) => understood.push(message));
    ears.push({ client, handle, heard, understood });
    return ears.at(-1);
  };
  const sender = await listen(server.url);
  const [second, third] = [await listen(server.url), await listen(server.url)];
  const elsewhere = sender.client.repo.create({ other: "document" });
  await sender.client.saved(elsewhere);
  const [outsider, neighbour] = [await listen(elsewhere.url), await listen(elsewhere.url)];

  // Servers of a cluster hear of each other within a second of their start, and relay nothing to each other before.
  for (const [from, to] of [[sender, [second, third]], [second, [sender, third]], [third, [sender, second]], [neighbour, [outsider]]]) {
    const heard = (word) =>
      until(() => to.every(({ understood }) => understood.includes(word)), word, ...to.map(({ handle }) => [handle, "ephemeral-message"]));
    const repeat = setInterval(() => from.handle.broadcast("hello"), 50);
    await heard("hello").finally(() => clearInterval(repeat));
    from.handle.broadcast("begin");
    await heard("begin");
    for (const { heard, understood } of ears) heard.length = understood.length = 0;
  }

  sender.handle.broadcast({ cursor: 1 });
  sender.handle.broadcast({ cursor: 2 });
  const heardBy = (ear, count) =>
    until(() => ear.understood.length >= count, `${count} ephemeral messages`, [ear.handle, "ephemeral-message"]);
  await heardBy(second, 2);
  await heardBy(third, 2);
  // Stock clients send back ephemeral messages. Any duplicates would arrive before these messages.
  second.handle.broadcast("end of second");
  third.handle.broadcast("end of third");
  neighbour.handle.broadcast("to the other document");
  await Promise.all([heardBy(sender, 2), heardBy(second, 3), heardBy(third, 3), heardBy(outsider, 1)]);

  assert.deepEqual(sender.understood.sort(), ["end of second", "end of third"]);
  assert.deepEqual(second.understood, [{ cursor: 1 }, { cursor: 2 }, "end of third"]);
  assert.deepEqual(third.understood, [{ cursor: 1 }, { cursor: 2 }, "end of second"]);
  assert.deepEqual(outsider.understood, ["to the other document"]);
  assert.deepEqual(neighbour.understood, []);
  const counts = ears.map((ear) => ear.heard.length);
  assert.deepEqual(counts, [2, 3, 3, 1, 0], "no socket received a duplicate");
  const [one] = second.heard;
  assert.equal(one.senderId, sender.client.repo.peerId, "the sender is the original one");
  assert.equal(one.targetId, second.client.repo.peerId);
});

test("a repeated ephemeral message is relayed once", async (t) => {
  const server = await Server.start(t);
  const { documentId } = server;
  const [, data] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  const joined = async (name) => {
    const socket = await rawSocket(server);
    const { senderId: targetId } = await socket.join(name);
    socket.send({ type: "request", senderId: name, targetId, documentId, data });
    await socket.message("sync");
    const message = { type: "ephemeral", senderId: name, targetId, documentId, sessionId: "s", data: new Uint8Array([1]) };
    return { socket, say: (more) => socket.send({ ...message, ...more }) };
  };
  const [sender, hearer] = [await joined("sender"), await joined("hearer")];
  sender.say({ count: 1 });
  sender.say({ count: 1 });
  sender.say({ count: 2 });
  sender.say({ count: 1 });
  sender.say({ count: 3 });
  await hearer.socket.message("ephemeral", ({ count }) => count === 3);
  const counts = hearer.socket.messages.filter(({ type }) => type === "ephemeral").map(({ count }) => count);
  assert.deepEqual(counts, [1, 2, 3]);
});

testOfStorages("a client receives the heads of another's storage", async (t) => {
  const server = await Server.start(t);
  const [watcher, writer] = [
    repoClient(server, { storage: true, gossip: true }),
    repoClient(server, { storage: true, gossip: true }),
  ];
  // Wait until the storage id is stable: while a stock client creates its id, each further request creates another one.
  await writer.server();
  const storageId = await writer.repo.storageId();
  watcher.repo.subscribeToRemotes([storageId]);
  const [watched, written] = [await watcher.find(server.url), await writer.find(server.url)];
  const heard = [];
  watched.on("remote-heads", (news) => news.storageId === storageId && heard.push(news));
  written.change(add("gossip-1"));
  const now = encodeHeads(Automerge.getHeads(written.doc()));
  const told = () => String(watched.getSyncInfo(storageId)?.lastHeads) === String(now);
  await until(told, () => `${now} of ${storageId}, heard ${JSON.stringify(heard)}`, [watched, "remote-heads"]);
  assert.ok(heard.length >= 1);
  assert.deepEqual(heard.at(-1).heads, now);
  assert.notEqual(storageId, (await watcher.server()).storageId, "another storage than the server's");
});

test("a peer id that joins again closes its old socket", async (t) => {
  const all = await Server.start(t);
  // Each server keeps its own list of peers.
  const server = { ...all.one(), documentId: all.documentId };
  const old = await rawSocket(server);
  await old.join("the-same");
  const young = await rawSocket(server);
  const peer = await young.join("the-same");
  const said = await old.message("error");
  assert.match(said.message, /joined again/);
  const { code, reason } = await old.end();
  assert.equal(code, 4409);
  assert.match(reason, /joined again/);
  const [, data] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  const { documentId } = server;
  young.send({ type: "request", senderId: "the-same", targetId: peer.senderId, documentId, data });
  assert.equal((await young.message("sync")).documentId, documentId, "the new one is served");
});

test("a restart keeps the storage id and changes the peer id", async (t) => {
  const server = await Server.start(t);
  const client = repoClient(server);
  const before = await client.server();
  assert.equal(before.isEphemeral, false);
  assert.ok(before.storageId);
  await server.stop();
  await server.start();
  await until(() => client.servers.length > 1, "the client to come back", [client.adapter, "peer-candidate"]);
  const after = await client.server();
  assert.equal(after.storageId, before.storageId);
  assert.equal(after.isEphemeral, false);
  assert.notEqual(after.peerId, before.peerId);
});

test("/ serves a stock client, which speaks first and in binary", async (t) => {
  const server = await Server.start(t);
  const handle = await repoClient(server, { path: "/" }).find(server.url);
  assert.equal(Object.keys(handle.doc().positions).length, 60);
});

test("/ serves a legacy client that speaks first", async (t) => {
  const server = await Server.start(t);
  const handle = await repoClient(server).find(server.url);
  const legacy = await legacyClient(server, { path: "/" });
  await legacy.add("Spoke first");
  const { id } = await legacy.entry((row) => row.designation === "Spoke first", "of the own row");
  await untilDocument(handle, (doc) => doc.positions[id], "a stock client to see it");
});

test("/ serves a legacy client that only listens", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server, { path: "/" });
  await legacy.until(({ frames }) => frames.some((frame) => frame.login_update), "the presence list without a request");
  const handle = await repoClient(server).find(server.url);
  handle.change(add("for-the-silent"));
  await legacy.entry((row) => row.id === "for-the-silent", "of a row for a silent client");
});

test("many documents share one socket", async (t) => {
  const server = await Server.start(t);
  const [author, reader] = [repoClient(server), repoClient(server)];
  const made = Array.from({ length: 20 }, (_, n) => author.repo.create({ n, positions: { a: position(`row ${n}`) } }));
  await Promise.all(made.map((handle) => author.saved(handle)));
  const found = await Promise.all(made.map((handle) => reader.find(handle.url)));
  assert.deepEqual(found.map((handle) => handle.doc().n), made.map((_, n) => n));
  found[7].change((doc) => (doc.answer = 42));
  await untilDocument(made[7], (doc) => doc.answer === 42, "the answer in the document that was edited");
  assert.equal(made.filter((handle) => handle.doc().answer).length, 1);
});

test("all changes of a fast sender are acknowledged in the end", async (t) => {
  const server = await Server.start(t);
  const plain = await plainClient(server, server.documentId);
  await plain.until((doc) => doc.positions, "the document");
  for (let round = 0; round < 20; round += 1) {
    // One message per change, interleaved with acknowledgements of the server's messages.
    for (let n = 0; n < 30; n += 1) plain.change((doc) => (doc.positions[recorded[n].id].budget = round));
    await plain.saved();
  }
});
