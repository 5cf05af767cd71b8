// kill -9 at any moment: every change that was acknowledged or sent to a client survives the restart.

import assert from "node:assert/strict";
import { existsSync, readdirSync, watch } from "node:fs";

import * as Automerge from "@automerge/automerge";

import { legacyClient, plainClient, repoClient, rest } from "./support/clients.mjs";
import { testOfFiles as test } from "./support/needs.mjs";
import { add, assertSame, designations, open } from "./support/positions.mjs";
import { SEED, random } from "./support/random.mjs";
import { Server } from "./support/server.mjs";
import { pause, until, within } from "./support/until.mjs";

/** Designations that the server sent to a client, or acknowledged to their author. */
class Promised {
  names = new Set();
  acknowledged = {};

  of(kind, names) {
    for (const name of names) {
      this.names.add(name);
      if (name.startsWith(`${kind}-`)) (this.acknowledged[kind] ??= new Set()).add(name);
    }
  }
}

/** Rows that a syncing client wrote itself: the name of each row by the hash of its change. */
class Own {
  changes = new Map();

  wrote(name, doc) {
    this.changes.set(Automerge.decodeChange(Automerge.getLastLocalChange(doc)).hash, name);
  }

  /** The rows whose changes the server has acknowledged. */
  confirmed(unconfirmed) {
    return [...this.changes].filter(([hash]) => !unconfirmed.has(hash)).map(([, name]) => name);
  }
}

/** The rows of other clients that the server has sent to this one. */
function shown(kind, doc) {
  return designations(doc).filter((name) => !name.startsWith(`${kind}-`));
}

/** Checks the file after a crash: whole, or with a torn tail. The JavaScript library opens a whole file. */
async function lookAtCrashed(server) {
  const { code, stdout } = await server.checked();
  if (code === 0) {
    open(server.bytes());
    return "whole";
  }
  assert.equal(code, 3, `check: ${stdout}`);
  assert.match(stdout, /the last write was cut off/, "nothing worse than a torn tail");
  return "torn";
}

test("kill -9 during a burst of edits loses no acknowledged row", async (t) => {
  const KILLS = 25;
  t.diagnostic(`HAPPIERWORK_SEED=${SEED}`);
  const chance = random();
  const server = await Server.start(t);
  const client = repoClient(server, { storage: true });
  const handle = await client.find(server.url);
  const plain = await plainClient(server, server.documentId, { comesBack: true });
  const legacy = await legacyClient(server, { comesBack: true });
  const other = await legacyClient(server, { comesBack: true });
  await plain.until((doc) => doc.positions, "the plain-sync client to have the document");
  const promised = new Promised();
  const own = { repo: new Own(), plain: new Own() };
  const found = { whole: 0, torn: 0 };
  let rounds = 0;
  let written = 0;

  // Each client writes at its own pace until it is stopped, and records acknowledgements.
  const writers = {
    repo: async (name) => {
      handle.change(add(name));
      own.repo.wrote(name, handle.doc());
    },
    plain: async (name) => {
      plain.change(add(name));
      own.plain.wrote(name, plain.doc);
    },
    legacy: async (name) => {
      await legacy.add(name);
      promised.of("legacy", [name]);
    },
    rest: async (name) => {
      const row = { designation: name, department: "HR", budget: 1, location: "Pune" };
      const answer = await rest(server).post("/data/add/", row);
      assert.equal(answer.status, 201, `POST /data/add/ answers ${answer.status}`);
      promised.of("rest", [name]);
    },
  };

  for (; rounds < KILLS; rounds += 1) {
    // All four are connected when the burst begins.
    await Promise.all([
      until(() => client.repo.peers.length > 0, "the stock client to be back", [client.repo.networkSubsystem, "peer"]),
      plain.until(() => plain.sync.theirHeads, "the plain-sync client to be back"),
      legacy.until(() => legacy.socket, "the legacy client to be back"),
      other.until(() => other.socket, "the second legacy client to be back"),
    ]);
    let over = false;
    const burst = Object.entries(writers).map(async ([kind, write]) => {
      for (let n = 0; !over; n += 1) {
        try {
          await write(`${kind}-${rounds}-${n}`);
          written += 1;
        } catch (error) {
          // The server was killed before it acknowledged the row. Any other failure is an error.
          if (!over) throw error;
        }
        await pause(2 + 10 * chance());
      }
    });
    const failed = Promise.all(burst);
    await Promise.race([failed, pause(20 + 380 * chance())]);
    over = true;
    await server.kill();
    await within(failed, "the writers to notice the kill");
    await until(() => !legacy.socket && !plain.socket, "the clients to notice the kill", [legacy, "news"], [plain, "news"]);

    promised.of("repo", own.repo.confirmed(client.unconfirmed(handle)));
    promised.of("plain", own.plain.confirmed(plain.unconfirmed()));
    promised.of("-", shown("repo", handle.doc()));
    promised.of("-", shown("plain", plain.doc));
    for (const observer of [legacy, other]) promised.of("-", observer.entries.map((row) => row.designation));
    found[await lookAtCrashed(server)] += 1;

    await server.start();
    const there = new Set(designations(open(server.bytes())));
    const lost = [...promised.names].filter((name) => !there.has(name));
    assert.deepEqual(lost, [], `lost in kill ${rounds + 1} of ${KILLS} (seed ${SEED})`);
  }

  // Syncing clients still hold their own rows, so none of these is lost.
  const mine = [...designations(handle.doc()), ...designations(plain.doc)].filter((name) => /^(repo|plain)-/.test(name));
  const complete = (doc) => {
    const names = new Set(designations(doc));
    return mine.every((name) => names.has(name));
  };
  await until(() => complete(handle.doc()), "all of the plain client's rows", [handle, "change"]);
  await plain.until(complete, "all of the stock client's rows");
  await client.saved(handle);
  await plain.saved();
  assertSame(designations(open(server.bytes())), designations(handle.doc()), "rows in the file");
  assertSame(designations(plain.doc), designations(handle.doc()), "rows at the plain-sync client");
  assert.deepEqual((await server.checked()).code, 0);

  const acknowledged = Object.entries(promised.acknowledged).map(([kind, names]) => [kind, names.size]);
  for (const [kind, count] of acknowledged) assert.ok(count >= KILLS / 2, `a real burst: ${count} acknowledged by ${kind}`);
  assert.equal(acknowledged.length, 4);
  const counts = acknowledged.map(([kind, count]) => `${kind} ${count}`).join(", ");
  t.diagnostic(`${rounds} kills, ${written} writes; acknowledged: ${counts}; lost: 0`);
  t.diagnostic(`files after the kills: ${found.whole} whole, ${found.torn} with a torn tail`);
});

test("kill -9 during the first start leaves no file or a whole one", async (t) => {
  const chance = random(SEED + 1);
  const found = { none: 0, empty: 0, document: 0, announced: 0 };
  for (let round = 0; round < 20; round += 1) {
    const server = await Server.prepare(t, { state: null });
    await server.spawn();
    if (round % 4 === 3) await within(server.listening, "the server to listen");
    else await Promise.race([server.listening, pause(40 * chance())]);
    await server.kill();
    const announced = server.url;
    const bytes = existsSync(server.state) ? server.bytes() : undefined;
    found[bytes === undefined ? "none" : bytes.length === 0 ? "empty" : "document"] += 1;
    if (bytes?.length > 0) await lookAtCrashed(server);
    await server.start();
    if (announced) {
      found.announced += 1;
      assert.equal(server.url, announced, "an announced URL stays the same");
    }
    const doc = open(server.bytes());
    assert.equal(doc.documentId, server.documentId);
    assert.deepEqual(designations(doc), []);
    const legacy = await legacyClient(server);
    await legacy.add("First");
    assert.deepEqual(designations(open(server.bytes())), ["First"]);
    legacy.close();
    await server.dispose();
  }
  assert.ok(found.announced >= 5 && found.none + found.empty > 0, JSON.stringify(found));
  t.diagnostic(`20 kills: ${JSON.stringify(found)}`);
});

test("kill -9 during compaction loses no saved row", async (t) => {
  const ROUNDS = 10;
  const chance = random(SEED + 2);
  let caught = 0;
  let saved = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const server = await Server.start(t);
    const plain = await plainClient(server, server.documentId, { comesBack: true });
    await plain.until((doc) => doc.positions, "the document");
    const own = new Own();
    const begun = new Promise((resolve) => {
      const watcher = watch(server.folder, (_, name) => name?.endsWith(".new") && resolve());
      t.after(() => watcher.close());
    });
    // Incompressible bytes: the log must outgrow 64 KiB. A text of this length would be as many operations.
    const noise = () => Uint8Array.from({ length: 450 }, () => Math.floor(256 * chance()));
    let over = false;
    const writing = (async () => {
      for (let n = 0; !over && n < 1_000; n += 1) {
        const name = `compact-${n}`;
        plain.change(add(name, { noise: noise() }));
        own.wrote(name, plain.doc);
        await pause(1);
      }
    })();
    await within(begun, "a compaction");
    // From the first byte of the new file until after it has replaced the old one.
    if (round % 2 === 1) await pause(40 * chance());
    await server.kill();
    over = true;
    await writing;
    if (readdirSync(server.folder).some((name) => name.endsWith(".new"))) caught += 1;
    await plain.until(() => !plain.socket, "the client to notice the kill");
    const confirmed = own.confirmed(plain.unconfirmed());
    saved += confirmed.length;
    await lookAtCrashed(server);
    await server.start();
    const there = new Set(designations(open(server.bytes())));
    const lost = confirmed.filter((name) => !there.has(name));
    assert.deepEqual(lost, [], `lost in round ${round + 1} of ${ROUNDS} (seed ${SEED})`);
    assert.equal(there.size >= 60, true, "the recorded rows are there");
    await plain.saved();
    assertSame(designations(open(server.bytes())), designations(plain.doc), "rows in the file");
    plain.close();
    await server.dispose();
  }
  assert.ok(caught > 0, "some kills hit the middle of a compaction");
  t.diagnostic(`${ROUNDS} kills, ${caught} with the new file half written; ${saved} rows were saved, lost: 0`);
});
