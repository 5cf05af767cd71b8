// Clients of different ages edit one plan: fields that a client does not know are neither lost nor in its way.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as Automerge from "@automerge/automerge";

import { legacyClient, repoClient, rest, untilDocument } from "./support/clients.mjs";
import { position } from "./support/positions.mjs";
import { RECORDED, Server } from "./support/server.mjs";
import { eventually } from "./support/until.mjs";

const recorded = JSON.parse(readFileSync(RECORDED, "utf8"));
const [one, other, gone, kept] = recorded.map((row) => row.id);
const LEGACY_KEYS = ["budget", "department", "designation", "id", "lastUpdated", "location"];

const shared = JSON.parse(readFileSync(new URL("../fixtures/shared-maps.json", import.meta.url), "utf8"));

/** Makes a map at the root as the documentation of the format says. */
function ensureMap(handle, key) {
  if (handle.doc()[key] !== undefined) return;
  handle.update((doc) => Automerge.applyChanges(doc, [Uint8Array.from(Buffer.from(shared[key], "hex"))])[0]);
}

/** An edit as the dashboard makes it. */
function edit(handle, id, fields) {
  handle.change(
    (doc) => Object.assign(doc.positions[id], fields, { updatedAt: new Date(), updatedBy: "CFO" }),
    { message: `CFO: ${Object.keys(fields).join(", ")}` },
  );
}

/** All that a plan can contain beside the fields of the first clients. */
function writeNewFields(handle) {
  for (const key of ["departmentBudgets", "columns", "views", "versions"]) ensureMap(handle, key);
  const heads = Automerge.getHeads(handle.doc()).join(",");
  handle.change((doc) => {
    doc.yearStart = "2027-04";
    doc.departmentBudgets.Engineering = 400;
    doc.columns.costCentre = { title: "Cost centre", type: "text" };
    doc.views.mine = { name: "Mine", view: "group=department", by: "CFO", at: new Date(0) };
    doc.versions.board = { name: "Board", heads, by: "CFO", at: new Date(0) };
  });
  edit(handle, one, { status: "approved", approvedBudget: 8, approvedAt: new Date(0), approvedBy: "CFO", start: "2027-06", end: "2028-03" });
  edit(handle, other, { status: "open", costCentre: "CC-100" });
  edit(handle, gone, { status: "filled" });
  handle.change((doc) => {
    doc.positions[one].comments = { c1: { by: "CFO", at: new Date(0), text: "Agreed?", done: false } };
  });
}

/** What {@link writeNewFields} has written, as plain values. */
function assertNewFields(doc, who) {
  const plain = Automerge.toJS(doc);
  const { status, approvedBudget, approvedAt, approvedBy, start, end, comments } = plain.positions[one];
  assert.deepEqual([status, start, end], ["approved", "2027-06", "2028-03"], who);
  assert.deepEqual([approvedBudget, approvedAt, approvedBy], [8, new Date(0), "CFO"], who);
  assert.deepEqual(comments, { c1: { by: "CFO", at: new Date(0), text: "Agreed?", done: false } }, who);
  assert.deepEqual([plain.positions[other].status, plain.positions[other].costCentre], ["open", "CC-100"], who);
  assert.equal(plain.yearStart, "2027-04", who);
  assert.deepEqual(plain.departmentBudgets, { Engineering: 400 }, who);
  assert.deepEqual(plain.columns, { costCentre: { title: "Cost centre", type: "text" } }, who);
  assert.equal(plain.views.mine.name, "Mine", who);
  assert.match(plain.versions.board.heads, /^[0-9a-f]{64}(,[0-9a-f]{64})*$/, who);
}

test("a client without the new fields and one with them lose nothing", async (t) => {
  const server = await Server.start(t);
  const [modern, first] = [repoClient(server), repoClient(server)];
  const [theirs, mine] = [await modern.find(server.url), await first.find(server.url)];
  // Both edit the same rows at once, one of them offline.
  first.disconnect();
  writeNewFields(theirs);
  await modern.saved(theirs);
  mine.change((doc) => {
    doc.positions[one].budget = 99;
    doc.positions[one].updatedBy = "CEO";
    doc.positions[other].location = "Lisbon";
    doc.positions["first-1"] = position("By a first client");
    delete doc.positions[gone];
  });
  first.reconnect();
  for (const [who, handle] of [["the newer client", theirs], ["the first client", mine]]) {
    const both = (doc) => doc.positions["first-1"] && doc.positions[one].status && doc.positions[one].comments;
    await untilDocument(handle, both, () => `${who} to have the edits of both`);
    assertNewFields(handle.doc(), who);
    assert.equal(handle.doc().positions[one].budget, 99);
    assert.equal(handle.doc().positions[other].location, "Lisbon");
    assert.equal(handle.doc().positions[gone], undefined);
  }
  assert.deepEqual(Automerge.toJS(theirs.doc()), Automerge.toJS(mine.doc()));

  // The first client goes on: it edits, and names nothing that it does not know.
  mine.change((doc) => {
    doc.positions[one].designation = "Renamed by a first client";
  });
  await untilDocument(theirs, (doc) => doc.positions[one].designation.startsWith("Renamed"), "the next edit");
  assertNewFields(theirs.doc(), "the newer client, later");
  const find = (positions, id) => positions.find((row) => row.id === id);
  // Another process hears of the edits a moment later.
  const positions = await eventually(async () => {
    const exported = await (await fetch(server.http("/api/documents/default/export.json"))).json();
    return find(exported.positions, one).designation.startsWith("Renamed") && exported.positions;
  }, "the export to have the last edit");
  const row = find(positions, one);
  assert.deepEqual([row.budget, row.status, row.start, row.end], [99, "approved", "2027-06", "2028-03"]);
  assert.equal(row.extra.comments.c1.text, "Agreed?");
  assert.equal(find(positions, other).extra.costCentre, "CC-100");
});

test("legacy clients go on as before beside the new fields", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const client = repoClient(server);
  const handle = await client.find(server.url);
  const before = await rest(server).rows();
  const count = legacy.frames.length;
  writeNewFields(handle);
  // The author and the time of an edit are part of the protocol, and sent. Comments and fields alone are not: the next frames are of
  // the next edit.
  await legacy.until(({ frames }) => frames.length >= count + 9, "three frames about each of three edited rows");
  const announced = legacy.frames.slice(count).flatMap((frame) => frame.entry ?? []);
  assert.deepEqual(announced.map(({ id }) => id).sort(), [one, other, gone].sort());
  for (const { lastUpdated } of announced) assert.equal(lastUpdated[0], "CFO");
  const edits = legacy.frames.length;
  handle.change((doc) => {
    doc.positions[other].comments = { c2: { by: "CFO", at: new Date(0), text: "Which one?", done: false } };
    doc.positions[other].status = "filled";
    doc.positions[other].status = "open";
  });
  await client.saved(handle);
  handle.change((doc) => {
    doc.positions[other].budget = 77;
  });
  await legacy.entry((row) => row.id === other && row.budget === "77", "of the next edit");
  await legacy.until(({ frames }) => frames.length >= edits + 3, "three frames about an edit");
  const [deleted, entry, trailer] = legacy.frames.slice(edits);
  assert.deepEqual([deleted.deleted_id, entry.entry.id, entry.entry.budget], [other, other, "77"]);
  assert.deepEqual([trailer.status, trailer.elementID], ["Data added successfully", null]);
  for (const row of legacy.entries) assert.deepEqual(Object.keys(row).sort(), LEGACY_KEYS, row.id);
  assert.doesNotMatch(JSON.stringify(legacy.frames.slice(count)), /approved|2027-06|CC-100|Agreed|Cost centre|Board/);

  const rows = await rest(server).rows();
  assert.equal(rows.length, before.length);
  for (const row of rows) assert.deepEqual(Object.keys(row).sort(), LEGACY_KEYS, row.id);
  const texts = (list) => list.map(({ id, designation, department, location }) => [id, designation, department, location].join("\t")).sort();
  assert.deepEqual(texts(rows), texts(before));

  // A legacy edit keeps the fields that it does not have, and a legacy deletion removes the row with all of them.
  const { designation, department, location } = rows.find(({ id }) => id === one);
  const answer = await rest(server).put(`/data/update/${one}/`, { designation, department, budget: "55", location });
  assert.equal(answer.status, 200);
  await untilDocument(handle, (doc) => doc.positions[one].budget === 55, "the edit over legacy REST");
  assertNewFields(handle.doc(), "after a legacy edit");
  await legacy.delete(gone);
  await untilDocument(handle, (doc) => !doc.positions[gone], "the legacy deletion");
  await legacy.add("By a legacy client");
  const { id } = await legacy.entry((row) => row.designation === "By a legacy client", "of the own row");
  await untilDocument(handle, (doc) => doc.positions[id], "the legacy row");
  assert.deepEqual(Object.keys(handle.doc().positions[id]).sort(), [
    ...["budget", "createdAt", "department", "designation", "location", "updatedAt", "updatedBy"],
  ]);
  assert.equal(handle.doc().positions[kept].designation, recorded[3].designation);
});
