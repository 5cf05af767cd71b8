// Scenarios: clones of a plan that stock clients make, edit and merge.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as Automerge from "@automerge/automerge";
import { cbor } from "@automerge/automerge-repo";

import { repoClient, untilDocument } from "./support/clients.mjs";
import { add, position } from "./support/positions.mjs";
import { Server } from "./support/server.mjs";
import { eventually, until, within } from "./support/until.mjs";
import { Users } from "./support/users.mjs";

/** A server with a CEO and a CFO, each with a client that has the plan. */
async function company(t) {
  const users = await Users.make(t);
  const server = await Server.start(t, { flags: users.flags });
  const people = {};
  for (const name of ["ceo", "cfo"]) {
    const token = await users.token(name, "editor");
    const client = repoClient(server, { path: `/sync?token=${token}`, gossip: true });
    const plan = await client.find(server.url);
    people[name] = { client, plan, token };
  }
  return { users, server, ...people };
}

/** A request to the same process each time: others hear of a change a moment later. */
function request(server, token, method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  return fetch(server.programs[0].http(path), { method, headers, body: body && JSON.stringify(body) });
}

async function get(server, token, path) {
  const answer = await request(server, token, "GET", path);
  assert.equal(answer.status, 200, `${path}: ${answer.status}`);
  return answer.json();
}

/** The changes of a position in a document, oldest first: who made them, and who merged them. */
async function makers(server, token, documentId, row) {
  const page = await get(server, token, `/api/documents/${documentId}/history?position=${encodeURIComponent(row)}`);
  return page.changes.reverse().map(({ user, mergedBy }) => [user, mergedBy]);
}

/** A scenario as a stock client makes it. */
async function clone({ client, plan }) {
  const scenario = client.repo.clone(plan);
  await client.saved(scenario);
  return scenario;
}

const has = (row) => (doc) => doc.positions[row];

test("changes keep their makers when two users merge a scenario in turns", async (t) => {
  const { server, ceo, cfo } = await company(t);
  const scenario = await clone(ceo);
  const other = await cfo.client.find(scenario.url);
  for (const [round, merger] of [ceo, cfo, ceo].entries()) {
    scenario.change(add(`ceo ${round}`));
    other.change(add(`cfo ${round}`));
    // The server writes as well, under an actor of its own.
    const row = { id: `api ${round}`, designation: `api ${round}` };
    const made = await request(server, cfo.token, "POST", `/api/documents/${scenario.documentId}/positions`, row);
    assert.equal(made.status, 201);
    const both = (doc) => ["ceo", "cfo", "api"].every((name) => doc.positions[`${name} ${round}`]);
    await untilDocument(scenario, both, "the CEO to have all edits of the scenario");
    await untilDocument(other, both, "the CFO to have all edits of the scenario");
    const mine = merger === ceo ? scenario : other;
    merger.plan.merge(mine);
    await merger.client.saved(merger.plan);
    const observer = merger === ceo ? cfo : ceo;
    await untilDocument(observer.plan, both, "the merged plan");
  }
  for (const [round, merger] of ["ceo", "cfo", "ceo"].entries()) {
    for (const [row, user] of [["ceo", "ceo"], ["cfo", "cfo"], ["api", "cfo"]]) {
      const found = await makers(server, ceo.token, server.documentId, `${row} ${round}`);
      assert.deepEqual(found, [[user, merger]], `${row} ${round}`);
    }
  }
  assert.deepEqual([ceo, cfo].map(({ client }) => client.servers.length), [1, 1], "no connection was cut off");
});

test("a scenario takes changes of the plan from another user", async (t) => {
  const { server, ceo, cfo } = await company(t);
  const scenario = await clone(ceo);
  const other = await cfo.client.find(scenario.url);
  for (const [round, merger] of [ceo, cfo].entries()) {
    ceo.plan.change(add(`ceo ${round}`));
    cfo.plan.change(add(`cfo ${round}`));
    const both = (doc) => doc.positions[`ceo ${round}`] && doc.positions[`cfo ${round}`];
    await untilDocument(ceo.plan, both, "the edits of the plan");
    await untilDocument(cfo.plan, both, "the edits of the plan");
    const mine = merger === ceo ? scenario : other;
    mine.merge(merger.plan);
    await merger.client.saved(mine);
    await untilDocument(merger === ceo ? other : scenario, both, "the refreshed scenario");
  }
  assert.deepEqual(await makers(server, ceo.token, scenario.documentId, "cfo 0"), [["cfo", "ceo"]]);
  assert.deepEqual(await makers(server, ceo.token, scenario.documentId, "ceo 1"), [["ceo", "cfo"]]);
  assert.deepEqual([ceo, cfo].map(({ client }) => client.servers.length), [1, 1], "no connection was cut off");
});

test("a scenario has the rights of its plan, and its maker loses it with the plan", async (t) => {
  const { users, server, cfo } = await company(t);
  const { documentId } = server;
  const [owner, guest, viewer] = [
    await users.token("owner", "owner"),
    await users.token("guest", "editor", "4NMNnkMhL8jXrdJ9jamS58PAVdXu"),
    await users.token("viewer", "viewer", "default"),
  ];
  const access = `/api/documents/${documentId}/access/guest`;
  assert.equal((await request(server, owner, "PUT", access, { role: "editor" })).status, 204);
  const client = repoClient(server, { path: `/sync?token=${guest}`, gossip: true });
  await client.server();
  const plan = await eventually(() => client.repo.find(server.url).catch(() => undefined), "the plan");
  const scenario = await clone({ client, plan });
  const seen = await eventually(() => cfo.client.repo.find(scenario.url).catch(() => undefined), "the scenario");
  seen.change(add("by the CFO"));
  await untilDocument(scenario, has("by the CFO"), "the edit of the CFO");
  const path = `/api/documents/${scenario.documentId}`;
  await eventually(async () => (await request(server, viewer, "GET", path)).status === 200, "the viewer to see it");
  assert.equal((await request(server, viewer, "POST", `${path}/positions`, { designation: "x" })).status, 403);

  assert.equal((await request(server, owner, "DELETE", access)).status, 204);
  await eventually(async () => (await request(server, guest, "GET", path)).status === 404, "the maker to lose it");
  assert.equal((await request(server, cfo.token, "GET", path)).status, 200);
});

test("a client that asked before it had access gets the document with the access", async (t) => {
  const { users, server, ceo } = await company(t);
  const [owner, guest] = [await users.token("owner", "owner"), await users.token("guest", "editor", "4NMNnkMhL8jXrdJ9jamS58PAVdXu")];
  const scenario = await clone(ceo);
  const client = repoClient(server, { path: `/sync?token=${guest}` });
  await client.server();
  for (const url of [server.url, scenario.url]) {
    await assert.rejects(within(client.repo.find(url), "an answer"), /unavailable/);
  }
  const access = `/api/documents/${server.documentId}/access/guest`;
  assert.equal((await request(server, owner, "PUT", access, { role: "editor" })).status, 204);
  for (const url of [server.url, scenario.url]) {
    const handle = await eventually(() => client.repo.find(url).catch(() => undefined), "the document");
    assert.ok(Object.keys(handle.doc().positions).length > 0);
  }
});

test("a clone that its bringer may not store is refused with a reason", async (t) => {
  const { users, server } = await company(t);
  for (const documents of ["*", "default"]) {
    const token = await users.token("intern", "viewer", documents);
    const client = repoClient(server, { path: `/sync?token=${token}` });
    const errors = [];
    const { receiveMessage } = client.adapter;
    client.adapter.receiveMessage = function (bytes) {
      const message = cbor.decode(new Uint8Array(bytes));
      if (message.type === "error") errors.push(message.message);
      receiveMessage.call(this, bytes);
    };
    const plan = await client.find(server.url);
    const scenario = client.repo.clone(plan);
    await eventually(() => errors.length > 0, "the reason");
    assert.match(errors[0], new RegExp(`${scenario.documentId}: you may not create documents`));
  }
});

test("an id and a name that are set in a scenario stay out of the plan", async (t) => {
  const { server, ceo, cfo } = await company(t);
  const name = String(ceo.plan.doc().name);
  const scenario = await clone(ceo);
  const other = await cfo.client.find(scenario.url);
  scenario.change((doc) => {
    doc.documentId = scenario.documentId;
    doc.name = "Hiring freeze";
    doc.positions.late = position("Late");
  });
  const restored = (doc) => doc.documentId === server.documentId && doc.positions.late;
  await untilDocument(other, restored, "the server to restore the id of the plan");
  for (const { client, plan } of [ceo, cfo]) {
    plan.merge(client === ceo.client ? scenario : other);
    await client.saved(plan);
  }
  const settled = (doc) => doc.positions.late && doc.name === name && doc.documentId === server.documentId;
  await untilDocument(ceo.plan, settled, "the name of the plan");
  await untilDocument(cfo.plan, settled, "the name of the plan");
  // Merging again in both directions adds nothing.
  await until(() => String(ceo.plan.heads()) === String(cfo.plan.heads()), "the same plan", [cfo.plan, "heads-changed"]);
  for (let round = 0; round < 3; round += 1) {
    scenario.merge(ceo.plan);
    await ceo.client.saved(scenario);
    ceo.plan.merge(scenario);
    await ceo.client.saved(ceo.plan);
  }
  const heads = String(ceo.plan.heads());
  scenario.merge(ceo.plan);
  await ceo.client.saved(scenario);
  ceo.plan.merge(scenario);
  await ceo.client.saved(ceo.plan);
  assert.equal(String(ceo.plan.heads()), heads);
  assert.equal(String(ceo.plan.doc().name), name);
});

test("a document that names a plan without sharing its history is no scenario", async (t) => {
  const { server, ceo } = await company(t);
  const forged = ceo.client.repo.create({ documentId: server.documentId, name: "Forged", positions: {} });
  await ceo.client.saved(forged);
  const listed = await get(server, ceo.token, "/api/documents");
  assert.ok(listed.some(({ id }) => id === forged.documentId), "it is a plan of its own");
});

// A clone shares row objects with the plan, so that `getConflicts` on them answers for the plan. A copy from bytes has its own.
test("conflicts of an imported scenario are its own", async (t) => {
  const { server, ceo } = await company(t);
  const row = "contested";
  ceo.plan.change(add(row));
  await ceo.client.saved(ceo.plan);
  const scenario = ceo.client.repo.import(Automerge.save(ceo.plan.doc()));
  const heads = scenario.heads();
  for (const budget of [4, 5]) scenario.changeAt(heads, (doc) => {
    doc.positions[row].budget = budget;
  });
  await ceo.client.saved(scenario);
  const conflicts = (handle) => Object.values(Automerge.getConflicts(handle.doc().positions[row], "budget") ?? {}).sort();
  assert.deepEqual([conflicts(scenario), conflicts(ceo.plan)], [[4, 5], []]);
  const shown = async ({ documentId }) => {
    const { budget, conflicts } = await get(server, ceo.token, `/api/documents/${documentId}/positions/${row}`);
    return conflicts ? [budget, ...conflicts.budget].sort() : [];
  };
  assert.deepEqual([await shown(scenario), await shown(ceo.plan)], [[4, 5], []]);
  assert.equal((await get(server, ceo.token, `/api/documents/${scenario.documentId}`)).scenarioOf, server.documentId);
});

/** A plan with a scenario that the API has made, and what the API answers. */
async function tried(t) {
  const everybody = await company(t);
  const { server, ceo } = everybody;
  const path = `/api/documents/${server.documentId}`;
  const api = async (method, where, body, status = 200) => {
    const answer = await request(server, ceo.token, method, where, body);
    const text = await answer.text();
    assert.equal(answer.status, status, `${method} ${where}: ${text}`);
    return text && JSON.parse(text);
  };
  for (const id of ["a", "b", "c"]) {
    await api("POST", `${path}/positions`, { id, designation: id, department: "Engineering", budget: 10 }, 201);
  }
  const made = await api("POST", `${path}/scenarios`, { name: "Hiring freeze" }, 201);
  return { ...everybody, api, path, made, scenario: `/api/documents/${made.id}` };
}

test("a scenario is listed under its plan, compared with the common base and merged as a whole", async (t) => {
  const { api, path, made, scenario, server, ceo, cfo } = await tried(t);
  assert.deepEqual([made.name, made.state, made.createdBy], ["Hiring freeze", "open", "ceo"]);
  assert.deepEqual(await api("GET", `${path}/scenarios`), [made]);
  const documents = await api("GET", "/api/documents");
  assert.equal(documents.find(({ id }) => id === made.id), undefined);
  assert.deepEqual(documents.find(({ id }) => id === server.documentId).scenarios, [made]);
  assert.equal((await api("GET", scenario)).scenarioOf, server.documentId);

  await api("PATCH", `${scenario}/positions/a`, { budget: 4 });
  await api("DELETE", `${scenario}/positions/b`, undefined, 204);
  await api("POST", `${scenario}/positions`, { id: "new", designation: "New", department: "HR", budget: 1.5 }, 201);
  // Later edits of the plan are not changes of the scenario.
  await api("PATCH", `${path}/positions/a`, { budget: 12 });
  await api("PATCH", `${path}/positions/b`, { location: "Pune" });
  await api("PATCH", `${path}/positions/c`, { budget: 11 });
  const diff = await api("GET", `${path}/diff?with=${made.id}`);
  const rows = diff.positions.map(({ id, plan, scenario, conflict, loss }) => [id, plan, scenario, conflict, loss]);
  assert.deepEqual(rows, [
    ["a", "changed", "changed", true, false],
    ["b", "changed", "deleted", false, true],
    ["c", "changed", null, false, false],
    ["new", null, "added", false, false],
  ]);
  const [{ fields }] = diff.positions;
  const { base, plan, scenario: there, conflict } = fields.find(({ field }) => field === "budget");
  assert.deepEqual([base, plan, there, conflict], [10, 12, 4, true]);
  const difference = Object.fromEntries(diff.sums.map(({ department, difference }) => [department, difference]));
  assert.deepEqual([difference.Engineering, difference.HR], [-16, 1.5]);

  const { etag } = Object.fromEntries((await request(server, ceo.token, "GET", path)).headers);
  await api("PATCH", `${path}/positions/c`, { budget: 13 });
  const merge = (headers) =>
    fetch(server.programs[0].http(`${path}/merge`), {
      method: "POST",
      headers: { Authorization: `Bearer ${cfo.token}`, "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ scenario: made.id }),
    });
  assert.equal((await merge({ "If-Match": etag })).status, 412);
  const merged = await merge();
  assert.equal(merged.status, 200);
  const { conflicts, losses } = await merged.json();
  assert.deepEqual([conflicts, losses], [["a"], ["b"]]);
  const { positions } = await api("GET", `${path}/positions`);
  const a = positions.find(({ id }) => id === "a");
  assert.deepEqual([a.budget, ...a.conflicts.budget].sort(), [12, 4]);
  assert.deepEqual([positions.some(({ id }) => id === "b"), positions.some(({ id }) => id === "new")], [false, true]);
  assert.equal((await api("GET", `${path}/scenarios`))[0].state, "merged");
  assert.deepEqual(await makers(server, ceo.token, server.documentId, "new"), [["ceo", "cfo"]]);
  const left = (await api("GET", `${path}/diff?with=${made.id}`)).positions.filter(({ scenario }) => scenario);
  assert.deepEqual(left, []);

  // Later edits can be merged again.
  await api("PATCH", `${scenario}/positions/new`, { budget: 2 });
  await api("POST", `${path}/merge`, { scenario: made.id });
  assert.equal((await api("GET", `${path}/positions/new`)).budget, 2);
});

test("positions of a scenario are merged one by one, and the rest later without duplicates", async (t) => {
  const { api, path, made, scenario, server, ceo, cfo } = await tried(t);
  await api("POST", `${scenario}/positions`, { id: "new", designation: "New", department: "HR", budget: 1 }, 201);
  await api("PATCH", `${scenario}/positions/a`, { budget: 4 });
  await api("PATCH", `${scenario}/positions/b`, { budget: 5 });
  await api("DELETE", `${scenario}/positions/c`, undefined, 204);
  await api("PATCH", `${path}/positions/a`, { budget: 12 });
  const merge = (rows) => api("POST", `${path}/merge`, { scenario: made.id, rows });
  assert.deepEqual((await merge(["a", "new"])).conflicts, ["a"]);
  const a = await api("GET", `${path}/positions/a`);
  assert.deepEqual([a.budget, ...a.conflicts.budget].sort(), [12, 4], "a field that both have edited is a conflict");
  assert.equal((await api("GET", `${path}/positions/b`)).budget, 10);
  const left = (await api("GET", `${path}/diff?with=${made.id}`)).positions;
  assert.deepEqual(left.filter(({ scenario }) => scenario).map(({ id }) => id), ["b", "c"]);
  await api("POST", `${path}/merge`, { scenario: made.id, rows: ["new"] }, 422);

  await api("PATCH", `${scenario}/positions/new`, { budget: 3 });
  await untilDocument(cfo.plan, has("new"), "the merged position");
  await merge(undefined);
  const { positions } = await api("GET", `${path}/positions`);
  const found = Object.fromEntries(positions.map((row) => [row.id, row]));
  assert.deepEqual([found.b.budget, found.c, found.new.budget, found.new.conflicts], [5, undefined, 3, undefined]);
  assert.equal((await api("GET", `${path}/scenarios`))[0].state, "merged");
  await untilDocument(cfo.plan, (doc) => !doc.positions.c, "the rest");
  const twice = Automerge.getConflicts(cfo.plan.doc().positions, "new");
  assert.equal(twice, undefined, "the added position exists once");
  const [[maker]] = await makers(server, ceo.token, server.documentId, "new");
  assert.equal(maker, "ceo");
});

test("a scenario is renamed in its plan, and deleted by its maker or with the plan", async (t) => {
  const { users, server, ceo, cfo } = await company(t);
  const owner = await users.token("owner", "owner");
  const api = (token, method, where, body) => request(server, token, method, where, body);
  const { id: plan } = await (await api(owner, "POST", "/api/documents", { name: "Growth" })).json();
  const path = `/api/documents/${plan}`;
  const make = async (token, name) => (await api(token, "POST", `${path}/scenarios`, { name })).json();
  const [one, two] = [await make(ceo.token, "One"), await make(ceo.token, "Two")];
  const renamed = await (await api(cfo.token, "PATCH", `${path}/scenarios/${one.id}`, { name: "First" })).json();
  assert.equal(renamed.name, "First");
  assert.equal((await api(cfo.token, "PATCH", `/api/documents/${one.id}`, { name: "Third" })).status, 409);
  assert.equal((await (await api(owner, "GET", path)).json()).name, "Growth");

  assert.equal((await api(cfo.token, "DELETE", `${path}/scenarios/${one.id}`)).status, 403);
  assert.equal((await api(ceo.token, "DELETE", `${path}/scenarios/${one.id}`)).status, 204);
  const left = await get(server, ceo.token, `${path}/scenarios`);
  assert.deepEqual(left.map(({ name }) => name), ["Two"]);
  const role = await api(owner, "PUT", `/api/documents/${two.id}/access/cfo`, { role: "viewer" });
  assert.equal(role.status, 409);
  const viewer = await users.token("viewer", "viewer");
  assert.equal((await api(viewer, "POST", `${path}/scenarios`, { name: "Mine" })).status, 403);
  assert.equal((await api(owner, "DELETE", path)).status, 204);
  await eventually(async () => (await api(ceo.token, "GET", `/api/documents/${two.id}`)).status === 404, "its end");
});
