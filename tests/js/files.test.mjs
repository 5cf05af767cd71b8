// The files have a standard format: JavaScript opens the server's file, and the server opens JavaScript's.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import * as Automerge from "@automerge/automerge";

import { legacyClient, plainClient, repoClient, untilDocument } from "./support/clients.mjs";
import { testOfFiles as test } from "./support/needs.mjs";
import { add, open, plainList, plainRows, position } from "./support/positions.mjs";
import { RECORDED, Server } from "./support/server.mjs";

const recorded = JSON.parse(readFileSync(RECORDED, "utf8"));

/** A file with these bytes, until the end of the test. */
function file(t, bytes) {
  const folder = mkdtempSync(path.join(tmpdir(), "happierwork-js-file-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const name = path.join(folder, "written-by.automerge");
  writeFileSync(name, bytes);
  return name;
}

/** The JSON view that the server must return for a document that JavaScript has opened. */
function viewOf(doc) {
  const iso = (date) => date.toISOString();
  const rows = Object.entries(doc.positions).map(([id, row]) => ({
    id,
    designation: row.designation,
    department: row.department,
    budget: row.budget,
    location: row.location,
    createdAt: iso(row.createdAt),
    updatedAt: iso(row.updatedAt),
    updatedBy: row.updatedBy,
  }));
  const order = (row) => [-Date.parse(row.createdAt), row.id];
  return rows.sort((one, other) => {
    const [[a, b], [c, d]] = [order(one), order(other)];
    return a - c || (b < d ? -1 : 1);
  });
}

test("JavaScript reads the rows of the JSON view from the file", async (t) => {
  const server = await Server.start(t);
  const legacy = await legacyClient(server);
  const handle = await repoClient(server).find(server.url);
  await legacy.add("Of a legacy client", { budget: "12.5" });
  await legacy.delete(recorded[10].id);
  handle.change(add("js-1", { createdAt: new Date(), designation: "Of a stock client 🦀" }));
  await legacy.entry((row) => row.id === "js-1", "of the stock client's row");
  handle.change((doc) => (doc.positions["js-1"].budget = 0.1));
  await legacy.entry((row) => row.id === "js-1" && row.budget === "0.1", "of the edit");
  const doc = open(server.bytes());
  const view = await server.exported();
  assert.equal(view.length, 61);
  assert.deepEqual(view, viewOf(doc));
  assert.deepEqual(plainRows(doc), plainRows(handle.doc()));
  // To the server, a copy that JavaScript saves again is the same document.
  const again = await Server.start(t, { state: file(t, Automerge.save(doc)) });
  assert.equal(again.url, server.url);
  assert.deepEqual(await again.exported(), view);
});

test("a file written by JavaScript is served, and gets a stable id", async (t) => {
  const written = Automerge.from({
    name: "Von JavaScript",
    currency: "INR",
    unit: 100_000,
    positions: Object.fromEntries(
      recorded.map(({ id, designation, department, budget, location }, n) => {
        const createdAt = new Date(1_700_000_000_000 - n);
        return [id, position(designation, { department, budget: Number(budget), location, createdAt })];
      }),
    ),
  });
  const server = await Server.start(t, { state: file(t, Automerge.save(written)) });
  assert.deepEqual(plainList(await server.exported()), plainList(recorded));
  assert.deepEqual((await server.exported()).map((row) => row.id), recorded.map((row) => row.id), "newest first");
  const { url } = server;
  const doc = open(server.bytes());
  assert.equal(doc.documentId, server.documentId, "the id is in the document");
  assert.equal(typeof doc.documentId, "string");
  assert.ok(Automerge.hasHeads(doc, Automerge.getHeads(written)), "the history continues that of the file");
  await server.stop();
  await server.start();
  assert.equal(server.url, url, "over a restart");
  await server.kill();
  await server.start();
  assert.equal(server.url, url, "over a kill");
  const elsewhere = await Server.start(t, { state: file(t, server.bytes()) });
  assert.equal(elsewhere.url, url, "and in a copy");
  const handle = await repoClient(elsewhere).find(url);
  assert.deepEqual(plainRows(handle.doc()), plainList(recorded));
});

test("a file with scalar strings (ImmutableString) reads the same", async (t) => {
  const scalar = (text) => new Automerge.ImmutableString(text);
  const written = Automerge.from({
    positions: {
      one: {
        designation: scalar("Scalar"),
        department: scalar("HR"),
        budget: 7,
        location: scalar("Pune"),
        updatedBy: scalar("somebody"),
        createdAt: new Date(1_700_000_000_000),
        updatedAt: new Date(1_700_000_000_000),
      },
    },
  });
  const server = await Server.start(t, { state: file(t, Automerge.save(written)) });
  assert.deepEqual(await server.exported(), [
    {
      id: "one",
      designation: "Scalar",
      department: "HR",
      budget: 7,
      location: "Pune",
      createdAt: "2023-11-14T22:13:20.000Z",
      updatedAt: "2023-11-14T22:13:20.000Z",
      updatedBy: "somebody",
    },
  ]);
});

test("malformed rows are listed with their readable fields", async (t) => {
  const createdAt = (n) => new Date(1_700_000_000_000 - n);
  const written = Automerge.from({
    positions: {
      "a-good": position("Good", { createdAt: createdAt(0) }),
      "b-number-as-text": position("Number as text", { budget: "1,50,000", createdAt: createdAt(1) }),
      "c-text-budget": position("Text budget", { budget: "plenty", createdAt: createdAt(2) }),
      "d-missing": { designation: "Missing fields", createdAt: createdAt(3) },
      "e-empty": {},
      "f-nested": position("Nested", { location: { city: "Pune", rooms: [1, 2, { deep: true }] }, createdAt: createdAt(4) }),
      "g-null": position("Nulls", { location: null, budget: null, createdAt: createdAt(5) }),
      "h-wrong-kinds": { designation: 42, department: true, budget: [1], location: new Uint8Array([1]), createdAt: "yesterday" },
      "i-fraction": position("Fraction", { budget: 12.75, createdAt: createdAt(6) }),
      "j-negative": position("Negative", { budget: -3, createdAt: createdAt(7) }),
      "k-counter": position("Counter", { budget: new Automerge.Counter(3), createdAt: createdAt(8) }),
      "l-huge": position("x".repeat(100_000), { createdAt: createdAt(9) }),
      "m-not-a-row": "just a text",
      "n-a-list": [1, 2, 3],
      "": position("Without a name", { createdAt: createdAt(10) }),
      'o-"quotes"\n': position('"quotes"\n\u0000', { createdAt: createdAt(11) }),
      "p-more": position("More", { more: { than: "needed" }, createdAt: createdAt(12) }),
      "q-not-a-date": position("Not a date", { createdAt: new Date(8.64e15), updatedAt: 5 }),
    },
  });
  const server = await Server.start(t, { state: file(t, Automerge.save(written)) });
  const rows = new Map((await server.exported()).map((row) => [row.id, row]));
  const field = (id, name) => rows.get(id)?.[name];
  for (const id of Object.keys(written.positions)) {
    assert.ok(rows.has(id), `the row ${JSON.stringify(id)} is shown`);
  }
  assert.deepEqual([field("a-good", "designation"), field("a-good", "budget")], ["Good", 12]);
  assert.equal(field("b-number-as-text", "budget"), "1,50,000", "as it is");
  assert.equal(field("c-text-budget", "budget"), "plenty");
  assert.equal(field("d-missing", "designation"), "Missing fields");
  assert.equal(field("d-missing", "budget"), null);
  assert.deepEqual(field("f-nested", "location"), { city: "Pune", rooms: [1, 2, { deep: true }] }, "as it is");
  assert.equal(field("f-nested", "designation"), "Nested");
  assert.equal(field("g-null", "location"), null);
  assert.equal(field("h-wrong-kinds", "designation"), 42);
  assert.deepEqual(field("h-wrong-kinds", "location"), { $bytes: "AQ==" });
  assert.deepEqual([field("h-wrong-kinds", "createdAt"), field("h-wrong-kinds", "extra")], [null, { createdAt: "yesterday" }]);
  assert.equal(field("m-not-a-row", "value"), "just a text");
  assert.deepEqual(field("n-a-list", "value"), [1, 2, 3]);
  assert.deepEqual(field("p-more", "extra"), { more: { than: "needed" } });
  assert.equal(field("i-fraction", "budget"), 12.75);
  assert.equal(field("j-negative", "budget"), -3);
  assert.equal(field("k-counter", "budget"), 3);
  assert.equal(field("l-huge", "designation").length, 100_000);
  assert.equal(field('o-"quotes"\n', "designation"), '"quotes"\n\u0000');
  // The document can still be read and written by all clients.
  const legacy = await legacyClient(server);
  const plain = await plainClient(server, server.documentId);
  await legacy.add("After the odd ones");
  await plain.until((doc) => Object.values(doc.positions ?? {}).some((row) => row.designation === "After the odd ones"), "it");
  plain.change((doc) => {
    doc.positions["d-missing"].budget = { odd: "live" };
    doc.positions["a-good"] = "no row any more";
    doc.positions["r-new"] = position("New", { budget: "5" });
  });
  const entry = await legacy.entry((row) => row.id === "r-new", "of a row with a number as text");
  assert.equal(entry.budget, "5");
  assert.equal(legacy.socket.readyState, 1);
  const after = new Map((await server.exported()).map((row) => [row.id, row]));
  assert.deepEqual(after.get("d-missing").budget, { odd: "live" });
  assert.equal(after.get("a-good").value, "no row any more");
  assert.equal(after.get("d-missing").designation, "Missing fields");
});

test("a document with no positions, or conflicting ones, is served", async (t) => {
  const empty = await Server.start(t, { state: file(t, Automerge.save(Automerge.from({ notes: ["no plan"] }))) });
  assert.deepEqual(await empty.exported(), []);
  const handle = await repoClient(empty).find(empty.url);
  assert.deepEqual([...handle.doc().notes], ["no plan"]);
  const legacy = await legacyClient(empty);
  await legacy.add("The first");
  await untilDocument(handle, (doc) => doc.positions && Object.keys(doc.positions).length === 1, "the first position");

  const base = Automerge.from({ name: "Twice" });
  const [one, other] = ["one", "other"].map((who) =>
    Automerge.change(Automerge.clone(base), (doc) => (doc.positions = { [who]: position(who) })),
  );
  const server = await Server.start(t, { state: file(t, Automerge.save(Automerge.merge(one, other))) });
  assert.deepEqual((await server.exported()).map((row) => row.id).sort(), ["one", "other"], "the union");
});
