// New documents of stock clients: other clients find them while they arrive, and the server stores any number of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { generateAutomergeUrl } from "@automerge/automerge-repo";

import { repoClient } from "./support/clients.mjs";
import { Server } from "./support/server.mjs";
import { within } from "./support/until.mjs";

const TRIES = 60;
const LONGEST = 100;

test(`new documents are found 0 to ${LONGEST} ms later, ${TRIES} times`, async (t) => {
  const server = await Server.start(t);
  const [author, reader] = [repoClient(server), repoClient(server)];
  await Promise.all([author.server(), reader.server()]);
  for (let round = 0; round < TRIES; round += 1) {
    const delay = (round * LONGEST) / (TRIES - 1);
    const made = author.repo.create({ round });
    if (delay >= 1) await new Promise((resolve) => setTimeout(resolve, delay));
    const found = await reader.find(made.url);
    assert.equal(found.doc().round, round, `${delay.toFixed()} ms later`);
  }
});

test("a document without a copy anywhere is unavailable", async (t) => {
  const server = await Server.start(t);
  await assert.rejects(repoClient(server).find(generateAutomergeUrl()), /unavailable/);
});

const MANY = 1_500;
/** Links of another client to missing documents: more than it may wait for. */
const STALE = 1_100;

test(`one connection stores a first upload of ${MANY} documents`, async (t) => {
  const server = await Server.start(t);
  const stale = repoClient(server);
  await stale.server();
  const links = Array.from({ length: STALE }, () => stale.repo.find(generateAutomergeUrl()));
  assert.ok((await Promise.allSettled(links)).every(({ status }) => status === "rejected"), "the documents are missing");

  const client = repoClient(server);
  await client.server();
  client.disconnect();
  const saved = new Set();
  const all = new Promise((resolve) => {
    for (let n = 0; n < MANY; n += 1) {
      const handle = client.repo.create({ n });
      handle.on("remote-heads", ({ heads }) => {
        if (String(heads) === String(handle.heads())) saved.add(handle.documentId);
        if (saved.size === MANY) resolve();
      });
    }
  });
  const started = performance.now();
  client.reconnect();
  await within(all, () => `${MANY} documents to be stored: ${saved.size} are`, 120_000);
  t.diagnostic(`${MANY} documents: ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  assert.equal(client.servers.length, 2, "connections: before, and for all documents");
  assert.equal(server.stored(), MANY);
});
