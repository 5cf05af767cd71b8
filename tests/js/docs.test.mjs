// Every command and program that README and docs/ show works as it is written, on a clean machine.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

import { testOfOwnServers as test } from "./support/needs.mjs";
import { blocksOf, follow, ROOT } from "./support/pages.mjs";

/** What is not run, and why: page, beginning of the line (of a program: of its first line), reason. */
const SKIPPED = [
  ["README.md", "make test", "is what runs this"],
  ["docs/dashboard.md", "", "the dashboard has its own tests, which `make test` runs with these commands"],
  ["docs/benchmarks.md", "make bench", "takes an hour"],
  ["docs/cluster.md", "happierwork user add", "names a database that is not there; tests/cli/shared_accounts.rs does it in another"],
  ["docs/soak.md", "make soak", "takes an hour"],
  ["docs/testing.md", "", "tests: `make test` runs a share of each"],
  ["docs/peering.md", "", "needs two servers at once; tests/peering/page.rs runs these commands"],
  ["docs/sync.md", 'import { Presence', "prints what others do, and there are none; presence.test.mjs has them"],
  ["docs/cluster.md", "happierwork --database", "names a database that is not there; tests/crash starts servers with one"],
  ["docs/cluster.md", "make cluster", "does not end; cluster_example.test.mjs runs it"],
  ["docs/cluster.md", "docker compose", "needs Docker; cluster_example.test.mjs looks at the files"],
  ["docs/security.md", "happierwork user add ceo@example.com", "asks for a password on a terminal"],
];
/** What is replaced, and why: the text, what it becomes in this home, reason. */
const REPLACED = [["/var/lib/", (home) => `${home}/var/lib/`, "a folder of the system, which tests leave alone"]];
/** Programs that stay connected: page, something that they hold, what they print. */
const STAYS = [["docs/sync.md", "A.receiveSyncMessage", "60 positions"]];
/** What must be so when a page was followed to its end. */
const THEN = {
  "docs/security.md"({ text, home }) {
    assert.match(text, /cfo@example\.com {2}editor {2}enabled {3}default/);
    const read = (name) => readFileSync(path.join(home, name), "utf8");
    assert.equal(read("happierwork/token").split(".").length, 3);
    assert.match(read("happierwork/jwks.json"), /Ed25519/);
    assert.match(read("plans/auth/users.json"), /viewer/);
    assert.equal(statSync(path.join(home, "plans/auth/users.json")).mode & 0o077, 0);
  },
};

const skip = (page, line) => SKIPPED.some(([where, text]) => where === page && line.startsWith(text));
const pages = ["README.md", ...readdirSync(path.join(ROOT, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];

for (const page of pages) {
  const blocks = blocksOf(readFileSync(path.join(ROOT, page), "utf8"));
  const runnable = blocks.filter(({ language, text }) => {
    return ["sh", "console", "js"].includes(language) && !text.split("\n").every((line) => skip(page, line.replace(/^\$ /, "")));
  });
  if (runnable.length === 0) continue;
  test(`${page} can be followed as it is written`, async (t) => {
    const followed = await follow(t, page, {
      skipped: skip,
      stays: (where, text) => STAYS.find(([there, part]) => there === where && text.includes(part))?.[2],
      replace: (text, home) => REPLACED.reduce((text, [from, to]) => text.replaceAll(from, to(home)), text),
    });
    for (const [line, output] of followed.expected) {
      if (output instanceof RegExp) assert.match(followed.outputs.get(line), output, `${page}:${line}`);
      else assert.equal(followed.outputs.get(line), output, `${page}:${Math.floor(line)} shows what is printed`);
    }
    THEN[page]?.(followed);
  });
}

test("the list of what is skipped has nothing that is gone", () => {
  for (const [page, text] of SKIPPED) {
    const blocks = blocksOf(readFileSync(path.join(ROOT, page), "utf8"));
    const lines = blocks.flatMap((block) => block.text.split("\n")).map((line) => line.replace(/^\$ /, ""));
    assert.ok(lines.some((line) => line.startsWith(text)), `${page} has no line that begins with ${text}`);
  }
});
