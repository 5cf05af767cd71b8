// The clients in examples/ do what they say, also after their token has ended.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { launch } from "./support/browser.mjs";
import { testOfOwnServers as test } from "./support/needs.mjs";
import { freePort } from "./support/ports.mjs";
import { ROOT, killAtExit } from "./support/program.mjs";
import { Server } from "./support/server.mjs";
import { eventually, until } from "./support/until.mjs";
import { Users } from "./support/users.mjs";

const EXAMPLES = path.join(ROOT, "examples");
const ACCOUNT = { HAPPIERWORK_USER: "cfo@example.com", HAPPIERWORK_PASSWORD: 'correct horse "battery" \\staple' };

/** A server with one account, the environment of a program that logs in there, and a position of the plan. */
async function serverWithAccount(t) {
  const users = await Users.make(t);
  await users.account(ACCOUNT.HAPPIERWORK_USER, "editor", ACCOUNT.HAPPIERWORK_PASSWORD);
  const server = await Server.start(t, { flags: users.flags });
  const request = async (where, options = {}) => {
    const headers = { authorization: `Bearer ${await users.token("ceo", "owner")}`, "content-type": "application/json" };
    return fetch(server.http(`/api/documents/default/${where}`), { headers, ...options });
  };
  const api = async (where, options) => {
    // The server reads a new key some moments after it was created.
    const accepted = async () => {
      const response = await request(where, options);
      return response.status === 401 ? null : response;
    };
    const response = await eventually(accepted, `${where} to be accepted`);
    assert.ok(response.ok, `${where}: ${response.status}`);
    return response.json();
  };
  const env = { ...process.env, ...ACCOUNT, HAPPIERWORK_URL: server.http("") };
  const [position] = (await api("positions")).positions;
  const budgetOf = async ({ id }) => (await api(`positions/${id}`)).budget;
  const setBudget = ({ id }, budget) => api(`positions/${id}`, { method: "PATCH", body: JSON.stringify({ budget }) });
  return { users, env, position, budgetOf, setBudget };
}

/** Ends all tokens: the key that signed them is retired. */
async function endTokens(users) {
  const [, line] = (await users.run("key", "list")).split("\n");
  await users.run("key", "new");
  await users.run("key", "retire", line.split(" ")[0]);
}

/** A program that keeps running: its lines of output, and an event for each. */
function start(t, program, args, options) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  const running = Object.assign(new EventEmitter(), { lines: [], child });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => {
      running.lines.push(line);
      running.emit("line");
    });
  }
  killAtExit(child);
  t.after(() => child.kill());
  running.line = (pattern) => {
    const find = () => running.lines.find((line) => pattern.test(line));
    return until(find, () => `${program} to print ${pattern}; it printed ${running.lines.join("\n")}`, [running, "line"]);
  };
  return running;
}

const ended = (program, args, options) => promisify(execFile)(program, args, { timeout: 60_000, ...options });

test("node/plan.mjs follows the plan across an ended token", async (t) => {
  const { users, env, position, setBudget } = await serverWithAccount(t);
  const plan = start(t, process.execPath, ["plan.mjs"], { cwd: path.join(EXAMPLES, "node"), env });
  await plan.line(/^Growth 2027 60 positions$/);
  await setBudget(position, 41);
  await plan.line(new RegExp(`^${position.designation} 41$`));
  await endTokens(users);
  await setBudget(position, 43);
  await plan.line(new RegExp(`^${position.designation} 43$`));
});

test("node/plan.mjs ends when the server has stored its change", async (t) => {
  const { env, position, budgetOf } = await serverWithAccount(t);
  await ended(process.execPath, ["plan.mjs", position.id, "42"], { cwd: path.join(EXAMPLES, "node"), env });
  assert.equal(await budgetOf(position), 42);
});

test("python/plan.py lists, sets a budget, and logs in again", async (t) => {
  const { users, env, position, budgetOf } = await serverWithAccount(t);
  const folder = path.join(EXAMPLES, "python");
  const listed = await ended("python3", ["plan.py"], { cwd: folder, env });
  assert.equal(listed.stdout.trim().split("\n").length, 60);
  const changed = await ended("python3", ["plan.py", position.id, "42"], { cwd: folder, env });
  assert.equal(changed.stdout, `${position.id} ${position.designation} 42\n`);
  assert.equal(await budgetOf(position), 42);

  const program = `
import os, plan
server = plan.Plan(os.environ["HAPPIERWORK_URL"], os.environ["HAPPIERWORK_USER"], os.environ["HAPPIERWORK_PASSWORD"])
print(len(server.positions()), "before", flush=True)
input()
print(len(server.positions()), "after")`;
  const running = start(t, "python3", ["-c", program], { cwd: folder, env });
  await running.line(/^60 before$/);
  await endTokens(users);
  running.child.stdin.end("\n");
  await running.line(/^60 after$/);
});

test("curl/plan.sh adds, changes, exports and deletes a position", async (t) => {
  const { env, budgetOf } = await serverWithAccount(t);
  const { stdout } = await ended(path.join(EXAMPLES, "curl/plan.sh"), [], { env });
  const [changed, row] = stdout.trim().split("\n");
  const position = JSON.parse(changed);
  assert.deepEqual([position.budget, position.status, position.updatedBy], [21, "approved", ACCOUNT.HAPPIERWORK_USER]);
  assert.ok(row.startsWith(`${position.id},Data Analyst,Product,21,Pune,`), row);
  await assert.rejects(budgetOf(position), /404/);
});

test("react/ builds, and its page edits a budget", async (t) => {
  const server = await Server.start(t);
  const folder = path.join(EXAMPLES, "react");
  const env = { ...process.env, HAPPIERWORK_URL: server.http("") };
  await ended("npm", ["run", "build"], { cwd: folder, env });
  const port = await freePort();
  const preview = start(t, process.execPath, ["node_modules/vite/bin/vite.js", "preview", "--host", "127.0.0.1", "--port", String(port), "--strictPort"], {
    cwd: folder,
    env,
  });
  await preview.line(/127\.0\.0\.1/);

  const browser = await launch(t);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  const position = async () => (await (await fetch(server.http("/api/documents/default/positions"))).json()).positions[0];
  const { designation, budget } = await position();
  const field = page.getByLabel(designation).first();
  await field.waitFor();
  assert.equal(await page.getByRole("spinbutton").count(), 60);
  assert.equal(await field.inputValue(), String(budget));
  await field.fill("42");
  await eventually(async () => (await position()).budget === 42, "the server to have the budget of the page");
});

test("swift/ and kotlin/ use the documented path and fields", () => {
  const documented = readFileSync(path.join(ROOT, "docs/sync.md"), "utf8");
  assert.ok(documented.includes("/sync/default"));
  for (const name of ["swift/Plan.swift", "kotlin/Plan.kt"]) {
    const program = readFileSync(path.join(EXAMPLES, name), "utf8");
    assert.ok(program.includes("/sync/default"), name);
    const fields = [...program.matchAll(/(?:key: |get\(row, |map\(ObjectId\.ROOT, |set\(row, )"(\w+)"/g)].map(([, field]) => field);
    assert.deepEqual([...new Set(fields)].sort(), ["budget", "designation", "positions", "updatedAt"], name);
    for (const field of fields) assert.match(documented, new RegExp(`\\b${field}\\b`), `${name}: ${field}`);
  }
});
