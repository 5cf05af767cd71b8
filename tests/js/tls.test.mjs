// wss:// and https:// with Node and the published packages.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import WebSocket from "ws";

import { certificateFor } from "./support/certificate.mjs";
import { Server } from "./support/server.mjs";
import { within } from "./support/until.mjs";

const CLIENT = fileURLToPath(new URL("support/encrypted_client.mjs", import.meta.url));

/** A server with TLS and a self-signed certificate. */
async function encryptedServer(t) {
  const server = await Server.prepare(t);
  const { certificate, key } = certificateFor(server.host);
  server.certificate = path.join(server.folder, "cert.pem");
  server.ca = certificate;
  writeFileSync(server.certificate, certificate);
  writeFileSync(path.join(server.folder, "key.pem"), key);
  server.flags.push("--tls-cert", server.certificate, "--tls-key", path.join(server.folder, "key.pem"));
  await server.start();
  return server;
}

function stockClient(server, designation, env) {
  const address = `wss://${server.host}:${server.port}/sync`;
  const options = { env: { ...process.env, NODE_EXTRA_CA_CERTS: "", ...env } };
  const running = promisify(execFile)(process.execPath, [CLIENT, address, server.url, designation], options);
  return within(running, "a stock client to end");
}

test("a stock client that trusts the certificate syncs over wss", async (t) => {
  const server = await encryptedServer(t);
  const { stdout } = await stockClient(server, "By wss", { NODE_EXTRA_CA_CERTS: server.certificate });
  const seen = JSON.parse(stdout);
  assert.equal(seen.length, 61);
  assert.ok(seen.includes("By wss"));
  assert.ok((await server.exported()).some((row) => row.designation === "By wss"));
});

test("a stock client that does not trust it reports that", async (t) => {
  const server = await encryptedServer(t);
  await assert.rejects(stockClient(server, "Never", {}), /DEPTH_ZERO_SELF_SIGNED_CERT/);
});

test("legacy sockets and HTTP are encrypted as well", async (t) => {
  const server = await encryptedServer(t);
  const { host, port, ca } = server;
  const socket = new WebSocket(`wss://${host}:${port}/ws/dashboard/`, { ca });
  t.after(() => socket.terminate());
  const [first] = await within(once(socket, "message"), "the greeting of a legacy client");
  assert.equal(JSON.parse(first.toString()).type, "login_update");
  const [answer] = await within(once(https.get(`https://${host}:${port}/data/`, { ca }), "response"), "an answer");
  assert.equal(answer.statusCode, 200);
  const rows = JSON.parse(Buffer.concat(await answer.toArray()).toString());
  assert.equal(rows.length, 60);
});
