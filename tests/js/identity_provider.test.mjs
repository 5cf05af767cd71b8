// Logins by a real OpenID Connect provider, in a real browser.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";

import { launch } from "./support/browser.mjs";
import { CLIENT, IdentityProvider } from "./support/identity_provider.mjs";
import { testOfOwnServers as test } from "./support/needs.mjs";
import { freePort } from "./support/ports.mjs";
import { Server } from "./support/server.mjs";
import { eventually } from "./support/until.mjs";
import { Users } from "./support/users.mjs";

/** A server that is a client of a provider, which may not run yet. */
async function serverOf(t, issuer) {
  const users = await Users.make(t);
  const server = await Server.prepare(t);
  const secret = path.join(server.folder, "secret");
  writeFileSync(secret, `${CLIENT.secret}\n`, { mode: 0o600 });
  server.flags.push(...users.flags, "--oidc-issuer", issuer, "--oidc-client-id", CLIENT.id, "--oidc-client-secret-file", secret);
  server.flags.push("--oidc-name", "Example", "--jwt-user-claim", "email", "--jwt-documents", "*");
  server.flags.push("--jwt-role-claim", "groups", "--jwt-role", "finance=editor,board=owner");
  return server;
}

/** A provider and a server that know each other. */
async function both(t) {
  const port = await freePort();
  const server = await serverOf(t, `http://127.0.0.1:${port}`);
  const [program] = server.programs;
  program.port = await freePort();
  const provider = new IdentityProvider(port, program.http(""));
  t.after(() => provider.stop());
  await provider.start();
  await server.start();
  await reached(server, provider);
  return { server, provider };
}

/** Waits until the server has fetched what the provider publishes. */
async function reached(server, provider) {
  const begins = async () => {
    const response = await fetch(server.http("/api/login"), { redirect: "manual" });
    return response.headers.get("location").startsWith(provider.issuer);
  };
  await eventually(begins, "the server to reach the provider");
}

const session = async (page) => page.evaluate(async () => (await fetch("api/session")).json());
const button = (page, name) => page.getByRole("button", { name });

async function logIn(page, user) {
  await button(page, "Log in with Example").click();
  await page.locator("input[name=login]").fill(user);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  // The provider asks whether the user consents.
  await page.locator("button[type=submit]", { hasText: "Continue" }).click();
}

async function newPage(t, address) {
  const browser = await launch(t);
  const page = await (await browser.newContext()).newPage();
  await page.goto(address);
  return page;
}

test("a user logs in by a provider, edits, and logs out", async (t) => {
  const { server } = await both(t);
  const address = `${server.http("/")}#${server.documentId}?sort=budget`;
  const page = await newPage(t, address);
  assert.deepEqual(await session(page), { required: true, accounts: false, provider: { name: "Example" }, user: null });
  await logIn(page, "cfo");
  await page.getByRole("grid").waitFor();
  assert.equal(page.url(), address, "the address from before the login");
  const { user } = await session(page);
  assert.deepEqual([user.name, user.role, user.documents], ["cfo@example.com", "editor", "*"]);
  const cookies = await page.context().cookies(server.http("/"));
  assert.deepEqual(
    cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite })),
    [{ name: "happierwork_session", httpOnly: true, sameSite: "Strict" }],
  );
  const status = await page.evaluate(async () => {
    const row = { designation: "By the provider", department: "HR", budget: 1, location: "Pune" };
    const headers = { "content-type": "application/json" };
    const response = await fetch("api/documents/default/positions", { method: "POST", headers, body: JSON.stringify(row) });
    return [response.status, (await response.json()).updatedBy];
  });
  assert.deepEqual(status, [201, "cfo@example.com"]);
  await page.evaluate(() => fetch("accounts/api/logout/", { method: "POST" }));
  assert.equal((await session(page)).user, null);
});

test("a user without a role, and one who cancels, are told", async (t) => {
  const { server } = await both(t);
  const page = await newPage(t, server.http("/"));
  await logIn(page, "intern");
  await page.getByText("Your account may not use this server.").waitFor();
  assert.equal((await session(page)).user, null);

  const other = await newPage(t, server.http("/"));
  await button(other, "Log in with Example").click();
  await other.getByText("Cancel").click();
  await other.getByText("The login was cancelled.").waitFor();
});

test("an answer that this browser did not ask for is refused", async (t) => {
  const { server } = await both(t);
  const to = async (where, headers) => {
    const response = await fetch(server.http(where), { redirect: "manual", headers });
    return [response.status, response.headers.get("location")];
  };
  const expired = [303, "../../#login=expired"];
  assert.deepEqual(await to("/api/login/callback?code=a&state=b"), expired);
  const begun = await fetch(server.http("/api/login"), { redirect: "manual" });
  const cookie = begun.headers.get("set-cookie").split(";")[0];
  const query = new URL(begun.headers.get("location")).searchParams;
  assert.equal(query.get("code_challenge_method"), "S256");
  assert.deepEqual(await to("/api/login/callback?code=a&state=b", { cookie }), expired, "another state");
  const state = query.get("state");
  assert.deepEqual(await to(`/api/login/callback?code=a&state=${state}`, { cookie }), [303, "../../#login=failed"], "no issuer");
  const issuer = encodeURIComponent(new URL(begun.headers.get("location")).origin);
  const forged = await to(`/api/login/callback?code=a&state=${state}&iss=${issuer}`, { cookie });
  assert.deepEqual(forged, [303, "../../#login=failed"], "a code that the provider does not know");
  assert.match(server.programs[0].log, /invalid_grant/);
});

test("a provider may start later, and change its keys", async (t) => {
  const port = await freePort();
  const server = await serverOf(t, `http://127.0.0.1:${port}`);
  await server.start();
  const page = await newPage(t, server.http("/"));
  await button(page, "Log in with Example").click();
  await page.getByText("The login failed.").waitFor();
  const provider = new IdentityProvider(port, server.http(""));
  t.after(() => provider.stop());
  await provider.start();
  await reached(server, provider);
  await logIn(page, "cfo");
  await page.getByRole("grid").waitFor();
  // Another key, which the server has not seen.
  await provider.stop();
  await provider.start();
  const other = await newPage(t, server.http("/"));
  await logIn(other, "ceo");
  await other.getByRole("grid").waitFor();
  assert.equal((await session(other)).user.role, "owner");
});
