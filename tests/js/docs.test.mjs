// Every command and program in README and docs/ works as written, on a clean machine.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

import { testOfOwnServers as test } from "./support/needs.mjs";
import { blocksOf, follow, ROOT } from "./support/pages.mjs";

/** Blocks that are not run: page, beginning of the line (of a program: of its first line), reason. */
const SKIPPED = [
  ["README.md", "make test", "runs this test"],
  ["docs/dashboard.md", "", "the dashboard has its own tests, which `make test` runs with these commands"],
  ["docs/benchmarks.md", "make bench", "takes an hour"],
  ["docs/cluster.md", "happierwork user add", "names a missing database; tests/cli/shared_accounts.rs uses another one"],
  ["docs/soak.md", "make soak", "takes an hour"],
  ["docs/testing.md", "", "`make test` runs a part of each of these tests"],
  ["docs/operations.md", "happierwork document default", "names a missing document; tests/cli/documents.rs runs such a command"],
  ["docs/operations.md", "happierwork token", "needs the keys of a server; docs/security.md runs such a command"],
  ["docs/peering.md", "", "needs two servers at once; tests/peering/page.rs runs these commands"],
  ["docs/sync.md", 'import { Presence', "prints the presence of others; presence.test.mjs tests it"],
  ["docs/cluster.md", "happierwork --database", "names a missing database; tests/crash starts servers with one"],
  ["docs/cluster.md", "make cluster", "does not end; cluster_example.test.mjs runs it"],
  ["docs/cluster.md", "docker compose", "needs Docker; cluster_example.test.mjs checks the files"],
  ["docs/api.md", "curl -sN", "does not end; tests/api/feed.rs reads such streams"],
  ["docs/webhooks.md", "", "needs a server that receives messages; tests/webhooks.rs runs these commands"],
  ["docs/backup.md", "", "a server makes backups until it is stopped; tests/docs.rs runs the other commands"],
  ["docs/install.md", "", "changes the system; packaging/check.sh installs the files of a release"],
  ["docs/start-operator.md", "", "asks for a password on a terminal; docs/security.md has these commands with a file"],
  ["docs/security.md", "happierwork user add ceo@example.com", "asks for a password on a terminal"],
  ["docs/security.md", "happierwork --auth auth --oidc-issuer", "names a missing provider; identity_provider.test.mjs starts one"],
  ["docs/security.md", "  --oidc-client-id", "a part of that command"],
  ["docs/security.md", "  --jwt-user-claim", "a part of that command"],
];
/** Replacements: the text, the function that returns its replacement in this home, reason. */
const REPLACED = [["/var/lib/", (home) => `${home}/var/lib/`, "a folder of the system, which tests must not change"]];
/** Programs that stay connected: page, a text that identifies them, their expected output. */
const STAYS = [["docs/sync.md", "A.receiveSyncMessage", "60 positions"]];
/** Checks after all blocks of a page have run. */
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
  test(`${page} works as written`, async (t) => {
    const followed = await follow(t, page, {
      skipped: skip,
      stays: (where, text) => STAYS.find(([there, part]) => there === where && text.includes(part))?.[2],
      replace: (text, home) => REPLACED.reduce((text, [from, to]) => text.replaceAll(from, to(home)), text),
    });
    for (const [line, output] of followed.expected) {
      if (output instanceof RegExp) assert.match(followed.outputs.get(line), output, `${page}:${line}`);
      else assert.equal(followed.outputs.get(line), output, `${page}:${Math.floor(line)} shows the actual output`);
    }
    THEN[page]?.(followed);
  });
}

test("every skipped block exists", () => {
  for (const [page, text] of SKIPPED) {
    const blocks = blocksOf(readFileSync(path.join(ROOT, page), "utf8"));
    const lines = blocks.flatMap((block) => block.text.split("\n")).map((line) => line.replace(/^\$ /, ""));
    assert.ok(lines.some((line) => line.startsWith(text)), `${page} has no line that begins with ${text}`);
  }
});
