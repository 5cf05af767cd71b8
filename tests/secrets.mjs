// Searches the output of all tests for secrets, which must not appear at any log level.

import { createReadStream, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

const SECRETS = {
  // Head, claims and signature. A token without a signature is useless.
  "a token": /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}/,
  "the hash of a password": /\$argon2/,
  "a private key": /"(d|k)"\s*:\s*"[\w-]{40,}|PRIVATE KEY/,
  "a password": /(correct|wrong)( |%20)horse|another horse|a (long|wrong) password|not the password|wrong, wrong/,
};
/** Test suites whose output must exist, with lines of the servers' finest level among it. */
const EXPECTED = ["rust", "js", "dashboard"];

const folder = process.argv[2];
const files = readdirSync(folder).filter((name) => name.endsWith(".log"));
const missing = EXPECTED.filter((kind) => !files.some((name) => name.startsWith(kind) && statSync(path.join(folder, name)).size > 0));
if (missing.length > 0) throw new Error(`the output of these tests is missing: ${missing.join(", ")}`);

let lines = 0;
let finest = 0;
const found = [];
for (const name of files) {
  const file = path.join(folder, name);
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    lines += 1;
    if (line.includes("TRACE")) finest += 1;
    for (const [what, pattern] of Object.entries(SECRETS)) {
      if (pattern.test(line)) found.push(`${what} in ${name}: ${line.slice(0, 300)}`);
    }
  }
}
if (finest === 0) throw new Error("the servers did not log everything");
if (found.length > 0) {
  console.error(found.slice(0, 20).join("\n"));
  console.error(`${found.length} lines with secrets`);
  process.exit(1);
}
console.log(`no secret in ${lines.toLocaleString("en")} lines, ${finest.toLocaleString("en")} of them at the finest level`);
