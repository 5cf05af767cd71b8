// A misbehaving client is told why and closed. Documents and other clients are unaffected.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as Automerge from "@automerge/automerge";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { Repo } from "@automerge/automerge-repo";

import { leave, legacyClient, plainClient, rawSocket, repoClient, untilDocument } from "./support/clients.mjs";
import { add } from "./support/positions.mjs";
import { Server } from "./support/server.mjs";
import { until } from "./support/until.mjs";

/** A server with a connected client. `unharmed` fails if that client was disturbed. */
async function scene(t, flags = []) {
  const server = await Server.start(t, { flags });
  const [bystander, observer] = [repoClient(server), repoClient(server)];
  const [handle, seen] = [await bystander.find(server.url), await observer.find(server.url)];
  const heads = String(Automerge.getHeads(handle.doc()));
  let disconnected = 0;
  for (const client of [bystander, observer]) client.adapter.on("peer-disconnected", () => (disconnected += 1));
  const unharmed = async () => {
    assert.equal(String(Automerge.getHeads(handle.doc())), heads, "the document is untouched");
    assert.equal(String(Automerge.getHeads(Automerge.load(server.bytes()))), heads, "the file is untouched");
    handle.change(add("after-it"));
    await untilDocument(seen, (doc) => doc.positions["after-it"], "the other clients to continue");
    assert.equal(disconnected, 0, "no other client is disconnected");
    assert.ok(server.isRunning);
  };
  return { server, unharmed, heads };
}

/** A joined socket, and a valid sync message for the default document. */
async function joined(server, name = "mallory") {
  const socket = await rawSocket(server);
  const { senderId: targetId } = await socket.join(name);
  const { documentId } = server;
  const say = (message) => socket.send({ senderId: name, targetId, documentId, ...message });
  return { socket, say };
}

/** Waits for the `error` message with a reason, and then the close. */
async function refused(socket, reason, code = 1008) {
  const said = await socket.message("error");
  assert.match(said.message, reason);
  const closed = await socket.end();
  assert.equal(closed.code, code);
  assert.match(closed.reason, reason);
  assert.ok(Buffer.byteLength(closed.reason) <= 123);
  assert.equal(socket.messages.filter(({ type }) => type === "error").length, 1, "said once");
}

/** Waits for the `error` message about one document. The socket stays open. */
async function documentRefused(socket, documentId, reason) {
  const said = await socket.message("error");
  assert.match(said.message, reason);
  assert.equal(said.documentId, documentId);
  assert.ok(said.message.includes(`automerge:${documentId}`), said.message);
  await socket.message("doc-unavailable");
  assert.equal(socket.closed, undefined, "the socket is open");
}

const hello = { type: "join", senderId: "mallory", peerMetadata: {}, supportedProtocolVersions: ["1"] };

test("bytes that are not CBOR are refused with an error", async (t) => {
  const { server, unharmed } = await scene(t);
  for (const [bytes, reason] of [
    [[0xff, 0x00, 0x13], /must be a map/],
    [[0xa1, 0x64, 0x74, 0x79, 0x70, 0x65, 0x1c], /not valid CBOR at byte|must be/],
    [[0xa1, 0x1c], /not valid CBOR at byte 1/],
    [[0xa5, 0x64, 0x74], /cut off/],
    [[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], /cut off|not valid CBOR/],
    [Buffer.alloc(100_000, 0x81), /must be a map|deep/],
  ]) {
    const socket = await rawSocket(server);
    socket.socket.send(Buffer.from(bytes));
    await refused(socket, reason);
  }
  const late = await joined(server);
  late.socket.socket.send(Buffer.alloc(0));
  await refused(late.socket, /cut off/);
  await unharmed();
});

for (const [what, message, reason] of [
  ["a type that is a number", { ...hello, type: 7 }, /"type" must be/],
  ["no type", { ...hello, type: undefined }, /"type" is missing/],
  ["a list instead of a map", [1, 2, 3], /./],
  ["a senderId that is a list", { ...hello, senderId: ["mallory"] }, /"senderId" must be/],
  ["an empty senderId", { ...hello, senderId: "" }, /"senderId"/],
  ["versions that are a map", { ...hello, supportedProtocolVersions: { one: 1 } }, /"supportedProtocolVersions" must be/],
  ["no supported version", { ...hello, supportedProtocolVersions: ["2", "3"] }, /unsupported protocol version.*2, 3/],
]) {
  test(`a join with ${what} is answered with an error and a close`, async (t) => {
    const { server, unharmed } = await scene(t);
    const socket = await rawSocket(server);
    socket.send(message);
    await refused(socket, reason);
    assert.ok(!socket.messages.some(({ type }) => type === "peer"));
    await unharmed();
  });
}

test("a join without versions selects version 1", async (t) => {
  const server = await Server.start(t);
  const socket = await rawSocket(server);
  socket.send({ type: "join", senderId: "old-client" });
  const peer = await socket.message("peer");
  assert.equal(peer.selectedProtocolVersion, "1");
  assert.equal(peer.targetId, "old-client");
});

test("a first message that is not a join is refused", async (t) => {
  const { server, unharmed } = await scene(t);
  const { documentId } = server;
  const socket = await rawSocket(server);
  socket.send({ type: "request", senderId: "mallory", targetId: "server", documentId, data: new Uint8Array([1]) });
  await refused(socket, /first message must be a join, not request/);
  await unharmed();
});

test("a sync message with missing or mistyped data is refused", async (t) => {
  const { server, unharmed } = await scene(t);
  for (const [data, reason] of [
    ["text", /"data" must be/],
    [undefined, /"data" is missing/],
    [new Uint8Array(), /"data" is empty/],
  ]) {
    const { socket, say } = await joined(server);
    say({ type: "sync", data });
    await refused(socket, reason);
  }
  await unharmed();
});

test("messages of unknown types are ignored", async (t) => {
  const { server, unharmed } = await scene(t);
  const { socket, say } = await joined(server);
  for (const type of ["new-in-3.0", "auth", "peer"]) {
    say({ type, data: new Uint8Array([1]), peerMetadata: {}, selectedProtocolVersion: "1" });
  }
  const [, data] = Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState());
  say({ type: "request", data });
  await socket.message("sync");
  assert.deepEqual(socket.messages.map(({ type }) => type), ["peer", "sync"]);
  await unharmed();
});

test("messages of another sender are ignored", async (t) => {
  const { server, unharmed } = await scene(t);
  const { socket, say } = await joined(server);
  let doc = Automerge.load(server.bytes());
  doc = Automerge.change(doc, (draft) => (draft.name = "Forged"));
  const [, data] = Automerge.generateSyncMessage(doc, Automerge.initSyncState());
  say({ type: "sync", senderId: "somebody-else", data });
  say({ type: "leave", senderId: "somebody-else" });
  say({ type: "request", data: Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState())[1] });
  const answer = await socket.message("sync");
  assert.deepEqual(Automerge.decodeSyncMessage(answer.data).need, [], "the server ignores the forged message");
  assert.equal(socket.closed, undefined);
  await unharmed();
});

/** A sync message with one new change: its bytes, and variants with other bytes. */
function messageWithChange(server, change = (doc) => (doc.name = "Changed")) {
  const before = Automerge.load(server.bytes());
  const after = Automerge.change(Automerge.clone(before), change);
  const [bytes] = Automerge.getChanges(before, after);
  const encode = (changes) =>
    Automerge.encodeSyncMessage({ heads: Automerge.getHeads(after), need: [], have: [], changes });
  return { bytes, encode, after };
}

test("both sync protocols refuse a change with one flipped byte", async (t) => {
  const { server, unharmed } = await scene(t);
  const { bytes, encode } = messageWithChange(server);
  let refusals = 0;
  for (let at = 0; at < bytes.length; at += Math.ceil(bytes.length / 12)) {
    const flipped = Uint8Array.from(bytes);
    flipped[at] ^= 0x10;
    const data = encode([flipped]);
    const { socket, say } = await joined(server);
    say({ type: "sync", data });
    await documentRefused(socket, server.documentId, /corrupt|does not parse|does not apply/);
    const plain = await rawSocket(server, `/sync/${server.documentId}`);
    plain.socket.send(data);
    const { code, reason } = await plain.end();
    assert.equal(code, 1008);
    assert.match(reason, /corrupt|does not parse|does not apply/);
    refusals += 2;
  }
  t.diagnostic(`${refusals} messages with a flipped byte, all refused`);
  await unharmed();
});

test("plain sync refuses random bytes and text frames", async (t) => {
  const { server, unharmed } = await scene(t);
  const garbled = await rawSocket(server, `/sync/${server.documentId}`);
  garbled.socket.send(Buffer.from("these are no sync messages"));
  const { code, reason } = await garbled.end();
  assert.equal(code, 1008);
  assert.match(reason, /does not parse/);
  const text = await rawSocket(server, `/sync/${server.documentId}`);
  text.socket.send("hello");
  const said = await text.end();
  assert.equal(said.code, 1008);
  assert.match(said.reason, /binary frames/);
  await unharmed();
});

test("a change with a sequence number that is in use is refused", async (t) => {
  const { server } = await scene(t);
  // The victim's change is stored.
  const victim = await plainClient(server, server.documentId);
  await victim.until((doc) => doc.positions, "the document");
  const before = Automerge.clone(victim.doc, { actor: Automerge.getActorId(victim.doc) });
  victim.change(add("of-the-victim"));
  await victim.saved();
  // The same actor and sequence number, with other content.
  const forged = Automerge.change(before, add("forged"));
  const [bytes] = Automerge.getChanges(victim.doc, forged).slice(-1);
  const original = Automerge.decodeChange(Automerge.getLastLocalChange(victim.doc));
  const fake = Automerge.decodeChange(Automerge.getLastLocalChange(forged));
  assert.deepEqual([fake.actor, fake.seq], [original.actor, original.seq], "the forgery is one");
  const data = Automerge.encodeSyncMessage({
    heads: Automerge.getHeads(forged),
    need: [],
    have: [],
    changes: [bytes ?? Automerge.getLastLocalChange(forged)],
  });
  const { socket, say } = await joined(server);
  say({ type: "sync", data });
  await documentRefused(socket, server.documentId, /does not apply/);
  const doc = Automerge.load(server.bytes());
  assert.ok(doc.positions["of-the-victim"] && !doc.positions.forged);
  victim.change(add("of-the-victim-again"));
  await victim.saved();
  assert.ok(Automerge.load(server.bytes()).positions["of-the-victim-again"], "the victim can still write");
});

test("a change without its predecessors is not published", async (t) => {
  const { server, unharmed } = await scene(t);
  const start = Automerge.load(server.bytes());
  const middle = Automerge.change(Automerge.clone(start), (doc) => (doc.name = "Missing"));
  const end = Automerge.change(Automerge.clone(middle), (doc) => (doc.name = "Orphan"));
  const data = Automerge.encodeSyncMessage({
    heads: Automerge.getHeads(end),
    need: [],
    have: [],
    changes: [Automerge.getLastLocalChange(end)],
  });
  const { socket, say } = await joined(server);
  say({ type: "sync", data });
  const answer = await socket.message("sync");
  assert.deepEqual(Automerge.decodeSyncMessage(answer.data).need, Automerge.getHeads(middle), "asked for what is missing");
  assert.equal(Automerge.load(server.bytes()).name, "Growth 2027");
  await unharmed();
});

for (const [what, documentId, reason] of [
  ["an id that is not base58", "not a document id", /"documentId" is malformed/],
  ["an id with a wrong checksum", "4NMNnkMhL8jXrdJ9jamS58PAVdXv", /"documentId" is malformed/],
  ["a path", "../../etc/passwd", /"documentId" is malformed/],
  ["an empty id", "", /"documentId"/],
  ["a number", 17, /"documentId" must be/],
]) {
  test(`a sync message for ${what} is refused with an error`, async (t) => {
    const { server, unharmed } = await scene(t);
    const { socket, say } = await joined(server);
    say({ type: "sync", documentId, data: new Uint8Array([0x42, 0, 0, 0, 0]) });
    await refused(socket, reason);
    await unharmed();
  });
}

test("a socket with a malformed id closes with the reason", async (t) => {
  const server = await Server.start(t);
  const socket = await rawSocket(server, "/sync/not-a-document-id");
  const { code, reason } = await socket.end();
  assert.equal(code, 4400);
  assert.match(reason, /id/);
});

test("a text frame on /sync is refused", async (t) => {
  const { server, unharmed } = await scene(t);
  const early = await rawSocket(server);
  early.socket.send(JSON.stringify(hello));
  await refused(early, /binary frames/);
  const { socket } = await joined(server);
  socket.socket.send("hello");
  await refused(socket, /binary frames/);
  await unharmed();
});

test("a frame over the limit closes with 1009 and names the limit", async (t) => {
  const { server, unharmed } = await scene(t, ["--max-message", "8192"]);
  const within = await joined(server, "within-the-limit");
  within.say({ type: "new-in-3.0", data: new Uint8Array(8_000) });
  within.say({ type: "request", data: Automerge.generateSyncMessage(Automerge.init(), Automerge.initSyncState())[1] });
  await within.socket.message("sync");
  for (const size of [8_193, 100_000, 1_000_000]) {
    const { socket } = await joined(server);
    socket.socket.send(Buffer.alloc(size));
    const { code, reason } = await socket.end();
    assert.equal(code, 1009, `${size} bytes: ${reason}`);
    assert.match(reason, /8192/);
  }
  const legacy = await legacyClient(server);
  const closed = new Promise((resolve) => legacy.socket.once("close", (code, reason) => resolve([code, String(reason)])));
  legacy.socket.send(JSON.stringify("x".repeat(9_000)));
  const [code, reason] = await closed;
  assert.equal(code, 1009);
  assert.match(reason, /8192/);
  await unharmed();
});

test("every socket closes a page of another origin with 4403", async (t) => {
  const { server, unharmed } = await scene(t);
  for (const path of ["/sync", `/sync/${server.documentId}`, "/ws/dashboard/", "/"]) {
    const socket = await rawSocket(server, path, { origin: "https://evil.example" });
    const { code, reason } = await socket.end();
    assert.equal(code, 4403, path);
    assert.match(reason, /origin/i, path);
    assert.ok(socket.messages.every(({ type, error }) => type === "error" || error), `${path}: only errors`);
  }
  const one = server.one();
  const own = await rawSocket(one, "/sync", { origin: one.http("").replace(/\/$/, "") });
  await own.join("own-page");
  await unharmed();
});

test("a stock client reconnects after every refusal", async (t) => {
  const server = await Server.start(t, { flags: ["--max-message", "8192"] });
  const uncaught = [];
  const note = (error) => uncaught.push(error);
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  t.after(() => {
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
  });
  const closes = [];
  /** A stock client. `break_` makes its socket misbehave like a browser page or a broken build. */
  const stock = (url, break_) => {
    const adapter = new WebSocketClientAdapter(url, 50);
    const connect = adapter.connect;
    adapter.connect = function (...args) {
      connect.apply(this, args);
      // The adapter may connect again before this socket has opened.
      const { socket } = this;
      socket.addEventListener("close", ({ code }) => {
        closes.push(code);
        adapter.emit("closed");
      });
      if (break_) socket.addEventListener("open", () => break_(socket));
    };
    const repo = new Repo({ network: [adapter] });
    server.clients.push({ close: () => leave(adapter) });
    return { adapter, repo };
  };
  const times = (adapter, code, count) => {
    const enough = () => closes.filter((each) => each === code).length >= count;
    return until(enough, () => `${count} closes with ${code}: ${closes}`, [adapter, "closed"]);
  };
  await times(stock(server.ws("/sync/no-id")).adapter, 4400, 3);
  await times(stock(server.ws(), (socket) => socket.send(Buffer.from([0xff]))).adapter, 1008, 3);
  await times(stock(server.ws(), (socket) => socket.send(Buffer.alloc(9_000))).adapter, 1009, 3);
  // A real change over the limit is refused each time, and the client keeps running.
  const big = stock(server.ws());
  const handle = big.repo.create({ text: Array.from({ length: 20_000 }, () => Math.random().toString(36)[3]).join("") });
  await times(big.adapter, 1009, 6);
  assert.equal(handle.doc().text.length, 20_000);
  assert.deepEqual(uncaught, []);
  const sane = repoClient(server);
  assert.equal(Object.keys((await sane.find(server.url)).doc().positions).length, 60);
  t.diagnostic(`${closes.length} refusals survived`);
});
