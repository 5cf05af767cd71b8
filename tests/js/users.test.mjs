// Users: each kind of client authenticates as documented.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";

import { cbor } from "@automerge/automerge-repo";
import WebSocket from "ws";

import { legacyClient, rawSocket, repoClient, untilDocument } from "./support/clients.mjs";
import { add } from "./support/positions.mjs";
import { Server } from "./support/server.mjs";
import { eventually, until, within } from "./support/until.mjs";
import { Users } from "./support/users.mjs";

const curl = async (...args) => (await promisify(execFile)("curl", ["--silent", "--show-error", ...args])).stdout;

test("changes of stock clients are attributed by their URL's token", async (t) => {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  const [ceo, cfo] = [await users.token("ceo", "editor"), await users.token("cfo", "editor", "default")];
  const [mine, theirs] = [repoClient(server, { path: `/sync?token=${ceo}` }), repoClient(server, { path: `/sync?token=${cfo}` })];
  const handle = await mine.find(server.url);
  const other = await theirs.find(server.url);
  handle.change(add("mine", { designation: "Chief Clown", budget: 12, department: "HR", location: "Köln" }));
  await untilDocument(other, (doc) => doc.positions.mine, "the other user to see it");
  const legacy = await legacyClient(server, { path: `/ws/dashboard/?token=${cfo}` });
  await legacy.add("Analyst");
  const listed = () => curl("-H", `Authorization: Bearer ${ceo}`, server.http("/api/documents/default/positions"));
  const analyst = async () => JSON.parse(await listed()).positions.find((row) => row.designation === "Analyst");
  // Another server may answer, which receives the row a moment later.
  const row = await eventually(analyst, "the row in the list");
  assert.equal(row.updatedBy, "cfo");
});

test("a stock client without a valid token survives and learns why", async (t) => {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  for (const path of ["/sync", "/sync?token=nonsense"]) {
    const socket = await rawSocket(server, path);
    const { message } = await socket.message("error");
    assert.match(message, /needs a valid token/);
    await until(() => socket.closed, "the end", [socket, "news"]);
    assert.equal(socket.closed.code, 4401);
  }
  const client = repoClient(server);
  const closed = once(client.adapter, "peer-disconnected").catch(() => {});
  // The client reconnects again and again without failing.
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(client.servers.length, 0);
  void closed;
});

test("a document without access is unavailable for a stock client", async (t) => {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  const token = await users.token("stranger", "editor", "4NMNnkMhL8jXrdJ9jamS58PAVdXu");
  const client = repoClient(server, { path: `/sync?token=${token}` });
  await client.server();
  await assert.rejects(within(client.repo.find(server.url), "an answer"), /unavailable/);
});

test("a viewer who keeps sending changes is ignored", async (t) => {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  const [viewer, editor] = [await users.token("intern", "viewer"), await users.token("cfo", "editor")];
  const client = repoClient(server, { path: `/sync?token=${viewer}` });
  const handle = await client.find(server.url);
  const witness = await repoClient(server, { path: `/sync?token=${editor}` }).find(server.url);
  const before = String(witness.heads());

  // It sends each message about the document twenty times, and later all its changes, whatever the server answers.
  let received = 0;
  client.adapter.on("message", () => (received += 1));
  const { send } = client.adapter;
  client.adapter.send = function (message) {
    for (let times = 0; times < 20; times += 1) send.call(this, message);
  };
  for (let edit = 0; edit < 20; edit += 1) {
    handle.change(add(`forged-${edit}`, { designation: "Forged", budget: 1, department: "HR", location: "x" }));
  }
  const [socket, state] = [client.adapter.socket, handle.doc()];
  void state;
  // The forged messages ignore the server's answers.
  const { default: Automerge } = { default: await import("@automerge/automerge") };
  const changes = Automerge.getAllChanges(handle.doc());
  assert.ok(changes.length > 20);
  let sync = Automerge.initSyncState();
  let copy = Automerge.clone(handle.doc());
  const forge = () => {
    sync = Automerge.initSyncState();
    const [, message] = Automerge.generateSyncMessage(copy, sync);
    const { senderId, targetId } = { senderId: client.repo.peerId, targetId: client.servers.at(-1).peerId };
    socket.send(cbor.encode({ type: "sync", senderId, targetId, documentId: server.documentId, data: message }));
  };
  for (let times = 0; times < 50; times += 1) forge();

  // An editor's change arrives after all forged messages.
  witness.change(add("honest", { designation: "Honest", budget: 2, department: "HR", location: "y" }));
  await untilDocument(handle, (doc) => doc.positions.honest, "the viewer to see the changes of others");
  const rows = JSON.parse(await curl("-H", `Authorization: Bearer ${editor}`, server.http("/api/documents/default/positions")));
  assert.ok(rows.positions.every((row) => row.designation !== "Forged"), "no forged row is stored");
  assert.ok(rows.positions.some((row) => row.id === "honest"));
  assert.equal(Object.keys(witness.doc().positions).filter((id) => id.startsWith("forged")).length, 0);
  assert.notEqual(before, String(witness.heads()));
  const quiet = received;
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(received - quiet < 5, `${received - quiet} messages in an idle half-second`);
  assert.ok(received < 200, `${received} messages`);
});

test("a login cookie works for its own origin only", async (t) => {
  const users = await Users.make(t);
  const all = await Server.prepare(t, { flags: users.flags });
  await users.account("jane.doe@example.com", "editor", "a long password", all.storage.accountFlags);
  await all.start();
  const server = all.one();
  const login = (password) =>
    fetch(server.http("/accounts/api/login/"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email: "jane.doe@example.com", password }),
    });
  const wrong = await login("a wrong password");
  assert.deepEqual([wrong.status, await wrong.json()], [401, { error: "Invalid credentials" }]);
  const right = await login("a long password");
  assert.equal((await right.json()).message, "Login successful");
  const [cookie] = right.headers.get("set-cookie").split(";");
  const origin = server.http("").replace(/\/$/, "");

  const list = await fetch(server.http("/data/"), { headers: { Cookie: cookie } });
  assert.equal((await list.json()).length, 60);
  const socket = await rawSocket(server, "/ws/dashboard/", { headers: { Cookie: cookie }, origin });
  socket.socket.send(JSON.stringify(JSON.stringify(["add", "Analyst", "HR", "12", "Pune"])));
  await until(() => socket.messages.some((frame) => frame.entry?.designation === "Analyst"), "its row", [socket, "news"]);
  const foreign = new WebSocket(server.ws("/ws/dashboard/"), { headers: { Cookie: cookie }, origin: "http://localhost:1" });
  const [code] = await within(once(foreign, "close"), "the end of another page's socket");
  assert.equal(code, 4401);
});

test("curl can write only with a token", async (t) => {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  const token = await users.token("nightly", "editor", "default");
  const row = JSON.stringify({ designation: "Analyst", department: "HR", budget: 12, location: "Pune" });
  const post = ["-X", "POST", "-H", "Content-Type: application/json", "-d", row, server.http("/api/documents/default/positions")];
  const made = JSON.parse(await curl("-H", `Authorization: Bearer ${token}`, ...post));
  assert.equal(made.updatedBy, "nightly");
  assert.equal(JSON.parse(await curl(...post)).status, 401);
});
