// The example cluster: examples/cluster/run.sh, and the files of `docker compose`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

import { repoClient, rest, untilDocument } from "./support/clients.mjs";
import { testOfOwnServers as test } from "./support/needs.mjs";
import { freePort } from "./support/ports.mjs";
import { add } from "./support/positions.mjs";
import { BINARY, ROOT } from "./support/program.mjs";
import { within } from "./support/until.mjs";

/** A server at this URL, in the form that the clients expect. */
function at(url, clients) {
  const { host } = new URL(url);
  return { ws: (where = "/sync") => `ws://${host}${where}`, http: (where) => `http://${host}${where}`, clients };
}

test("one command starts a cluster, and Ctrl-C stops all of it", async (t) => {
  const env = { ...process.env, HAPPIERWORK_BIN: BINARY, BALANCER_PORT: String(await freePort()) };
  const script = spawn(path.join(ROOT, "examples/cluster/run.sh"), { env, detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(script, "exit");
  const clients = [];
  t.after(() => {
    for (const client of clients) client.close();
    script.kill("SIGINT");
  });
  const servers = [];
  const said = {};
  const started = new Promise((resolve) => {
    createInterface({ input: script.stdout }).on("line", (line) => {
      const [, word, rest] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      if (word === "server") servers.push(rest);
      else said[word ?? line] = rest;
      if (word === "Ctrl-C") resolve();
    });
  });
  await within(started, "the cluster to start", 60_000);
  assert.equal(servers.length, 3);
  const folder = said["Ctrl-C"].split(" ").at(-1);
  assert.ok(existsSync(folder));

  const [one, two] = servers.map((url) => at(url, clients));
  // Through the load balancer, if one is installed.
  const page = at(said.page.split(" ")[0], clients);
  const { id } = await (await rest(one).get("/api/documents/default")).json();
  const [mine, theirs] = await Promise.all([one, two].map((server) => repoClient(server).find(`automerge:${id}`)));
  const balanced = await repoClient(page).find(`automerge:${id}`);
  mine.change(add("js-1"));
  for (const handle of [theirs, balanced]) {
    await untilDocument(handle, (doc) => doc.positions["js-1"], "a client of another server to see the position");
  }
  for (const client of clients.splice(0)) client.close();

  script.kill("SIGINT");
  assert.deepEqual(await within(exited, "the cluster to stop"), [0, null]);
  assert.ok("stopped" in said, JSON.stringify(said));
  assert.ok(!existsSync(folder), "the temporary folder is removed");
  for (const url of servers) await assert.rejects(fetch(url));
});

test("compose.yaml and its load balancer agree on the servers", () => {
  const [compose, balancer] = ["compose.yaml", "examples/cluster/haproxy.cfg"].map((name) => readFileSync(path.join(ROOT, name), "utf8"));
  const [, replicas] = /replicas: (\d+)/.exec(compose);
  assert.match(balancer, new RegExp(`server-template server ${replicas} server:8000 `));
  assert.ok(compose.includes("./examples/cluster/haproxy.cfg:"));
});
