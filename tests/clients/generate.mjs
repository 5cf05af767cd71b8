// Shared by the tests of generated clients: a server with an account, its description as a file, and programs that must succeed.

import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Server } from "../js/support/server.mjs";
import { Users } from "../js/support/users.mjs";

export const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../..");
/** Folder of the generated clients. It is below tests/clients/, so that Node finds its packages. */
const GENERATED = path.join(HERE, "generated");

/** Folder with the programs of tests/clients/requirements.txt. */
const PYTHON = path.resolve(ROOT, process.env.HAPPIERWORK_PYTHON ?? "target/python-venv", "bin");

export const EMAIL = "ceo@example.com";
export const PASSWORD = "correct horse battery staple";

/** A program of the Python environment. */
export function python(name) {
  const program = path.join(PYTHON, name);
  if (!existsSync(program)) throw new Error(`${program} is missing: run \`make target/python-venv\``);
  return program;
}

/** The environment in which Python programs find each other. */
export function withPython() {
  return { ...process.env, PATH: `${PYTHON}${path.delimiter}${process.env.PATH}` };
}

/** Runs a program to its end. If it fails, the error contains its output. */
export async function must(program, args, options = {}) {
  try {
    return await promisify(execFile)(program, args, { maxBuffer: 64 << 20, timeout: 300_000, ...options });
  } catch (error) {
    throw new Error(`${path.basename(program)} ${args.join(" ")}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

/** A server with authentication and one account, on a copy of the demo document. */
export async function serverWithAccount(t) {
  const users = await Users.make(t);
  await users.account(EMAIL, "owner", PASSWORD);
  const server = await Server.start(t, { flags: users.flags });
  return { server, users, env: { ...process.env, URL: server.http(""), EMAIL, PASSWORD } };
}

/** An empty folder with the server's description and this folder's program. Returns both paths. */
export async function generatedFolder(server, name) {
  const folder = path.join(GENERATED, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(HERE, name), folder, { recursive: true });
  const description = path.join(folder, "openapi.json");
  const answer = await fetch(server.http("/api/openapi.json"));
  writeFileSync(description, await answer.text());
  return { folder, description };
}
