// schemathesis generates valid and invalid requests from the API description, and checks every answer against it.

import path from "node:path";
import { test } from "node:test";

import { HERE, must, python, serverWithAccount } from "./generate.mjs";

test("schemathesis finds no answer that violates the description", async (t) => {
  const { server, users } = await serverWithAccount(t);
  const token = await users.token("schemathesis", "owner");
  const args = ["--config-file", path.join(HERE, "schemathesis.toml"), "run", server.http("/api/openapi.json")];
  // schemathesis does not resolve the relative server of the description.
  const header = ["--url", server.http(""), "--header", `Authorization: Bearer ${token}`];
  const env = { ...process.env, PYTHONPATH: HERE, SCHEMATHESIS_HOOKS: "contract_hooks", DOCUMENT_ID: server.documentId };
  const { stdout } = await must(python("schemathesis"), [...args, ...header], { cwd: server.folder, env });
  t.diagnostic(stdout.split("\n").slice(-25).join("\n"));
});
