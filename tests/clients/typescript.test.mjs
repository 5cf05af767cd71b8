import path from "node:path";
import { test } from "node:test";

import { generatedFolder, HERE, must, serverWithAccount } from "./generate.mjs";

const bin = (name) => path.join(HERE, "node_modules/.bin", name);

test("a generated TypeScript client logs in, edits and exports", async (t) => {
  const { server, env } = await serverWithAccount(t);
  const { folder, description } = await generatedFolder(server, "typescript");
  await must(bin("openapi-typescript"), [description, "--output", path.join(folder, "schema.d.ts")]);
  const options = ["--strict", "--target", "es2022", "--module", "nodenext", "--noUncheckedIndexedAccess"];
  await must(bin("tsc"), [...options, "--types", "node", path.join(folder, "plan.ts")]);
  await must(process.execPath, [path.join(folder, "plan.js")], { env });
});
