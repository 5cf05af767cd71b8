import path from "node:path";
import { test } from "node:test";

import { generatedFolder, must, python, serverWithAccount, withPython } from "./generate.mjs";

test("a generated Python client logs in, lists, edits and exports", async (t) => {
  const { server, env } = await serverWithAccount(t);
  const { folder, description } = await generatedFolder(server, "python");
  const output = path.join(folder, "happierwork_api_client");
  // Warnings are about features of the description that the generator cannot express. There must be none.
  const config = path.join(folder, "generator.yaml");
  const args = ["generate", "--path", description, "--config", config, "--meta", "none", "--output-path", output, "--fail-on-warning"];
  await must(python("openapi-python-client"), args, { cwd: folder, env: withPython() });
  await must(python("python"), [path.join(folder, "plan.py")], { env });
});
