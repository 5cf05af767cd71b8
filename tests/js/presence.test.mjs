// Presence: automerge-repo's Presence shows the people on legacy clients.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "@automerge/automerge-repo";

import { legacyClient, repoClient } from "./support/clients.mjs";
import { Server } from "./support/server.mjs";
import { until } from "./support/until.mjs";

const CHANGES = ["snapshot", "update", "goodbye", "heartbeat", "pruning"];

/** A stock client with its Presence in a document, like the dashboard's. */
async function present(t, server, name) {
  const client = repoClient(server);
  const presence = new Presence({ handle: await client.find(server.url) });
  t.after(() => presence.stop());
  presence.start({ initialState: { user: { name }, cell: null } });
  const { peerId } = await client.server();
  /** Waits until the server's list of people satisfies `condition`. */
  const people = (condition, what) => {
    const said = () => presence.getPeerStates().value[peerId]?.value?.people;
    const seen = () => JSON.stringify(presence.getPeerStates().value);
    return until(() => condition(said()), () => `${what} to ${name}, who sees ${seen()}`, [presence, ...CHANGES]);
  };
  return { client, presence, people };
}

const named = (...names) => (people) => String(people?.map(({ name }) => name)) === String(names);

test("stock Presence lists people on connected legacy clients", async (t) => {
  const server = await Server.start(t);
  const early = await present(t, server, "CEO");
  const cfo = await legacyClient(server);
  await cfo.request("login", "CFO");
  await early.people(named("CFO"), "a later login");
  const late = await present(t, server, "Assistant");
  await late.people(named("CFO"), "an earlier login");
  const states = Object.values(late.presence.getPeerStates().value);
  assert.deepEqual(states.find(({ value }) => value.people).value, { people: [{ name: "CFO", surface: "legacy" }] });

  const auditor = await legacyClient(server);
  await auditor.request("login", "Auditor");
  for (const one of [early, late]) await one.people(named("Auditor", "CFO"), "a second login");
  auditor.close();
  for (const one of [early, late]) await one.people(named("CFO"), "one remaining person");
  cfo.close();
  for (const one of [early, late]) await one.people((people) => people === undefined, "an empty list");
});

test("without legacy users, stock clients see only each other", async (t) => {
  const server = await Server.start(t);
  await legacyClient(server);
  const [ceo, cfo] = [await present(t, server, "CEO"), await present(t, server, "CFO")];
  const sees = (one, name) => {
    const states = () => Object.values(one.presence.getPeerStates().value);
    const other = () => states().find(({ value }) => value.user?.name === name);
    return until(other, () => `${name} to be seen`, [one.presence, ...CHANGES]);
  };
  await Promise.all([sees(ceo, "CFO"), sees(cfo, "CEO")]);
  cfo.presence.broadcast("cell", { position: "28f6d1a4b9c073", field: "budget" });
  const seen = () => Object.values(ceo.presence.getPeerStates().value).find(({ value }) => value.cell?.field === "budget");
  await until(seen, "the cell of the other", [ceo.presence, ...CHANGES]);
  for (const { client, presence } of [ceo, cfo]) {
    assert.equal(presence.getPeerStates().value[(await client.server()).peerId], undefined);
  }
});
