// The commands and programs of a documentation page, as one script that a reader would type.

import { execFile } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { freePort } from "./ports.mjs";
import { BINARY, ROOT } from "./program.mjs";

export { ROOT };

const PACKAGES = path.join(ROOT, "tests/js/node_modules");
/** Separates the outputs of two blocks. */
const MARK = "@@ block ";

/** The fenced blocks of a page: language, text, and the line at which each begins. */
export function blocksOf(markdown) {
  const blocks = [];
  let open;
  markdown.split("\n").forEach((line, index) => {
    const fence = /^\s*```(\S*)/.exec(line);
    if (!fence) open?.lines.push(line);
    else if (open) {
      blocks.push({ language: open.language, text: open.lines.join("\n"), line: open.line });
      open = undefined;
    } else open = { language: fence[1], lines: [], line: index + 1 };
  });
  return blocks;
}

/** Commands and their documented output: `$ command` and the lines up to the next. */
function consoleSteps(text) {
  const steps = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("$ ")) steps.push({ command: line.slice(2), output: [] });
    else steps.at(-1)?.output.push(line);
  }
  return steps;
}

/** Stand-ins for programs that take long or never end. The server continues in the background, as in a second terminal. */
const STAND_INS = {
  cargo: `case "$1" in
  run) shift; [ "\${1:-}" = --release ] && shift; [ "\${1:-}" = -- ] && shift; exec "$STAND_INS/happierwork" "$@" ;;
  install) mkdir -p "$HOME/.cargo/bin"; cp "$STAND_INS/happierwork" "$HOME/.cargo/bin/happierwork" ;;
  *) echo "there is no stand-in for cargo $1" >&2; exit 1 ;;
esac`,
  happierwork: `case "\${1:-}" in
  ""|--[a-z]*) case "\${1:-}" in --help|--version) exec "$BINARY" "$@" ;; esac ;;
  *) exec "$BINARY" "$@" ;;
esac
"$STAND_INS/stop"
if [ -z "\${HAPPIERWORK_LISTEN:-}" ]; then set -- "$@" --listen "127.0.0.1:$PORT_8000" --listen "127.0.0.1:$PORT_8001"; fi
"$BINARY" "$@" >"$HOME/.server.out" 2>"$HOME/.server.err" </dev/null &
echo $! >"$HOME/.server.pid"
for _ in $(seq 300); do
  [ "$(grep -c ^listening "$HOME/.server.out" 2>/dev/null || true)" = 2 ] && exec cat "$HOME/.server.out"
  kill -0 "$(cat "$HOME/.server.pid")" 2>/dev/null || break
  sleep 0.1
done
cat "$HOME/.server.err" >&2
exit 1`,
  stop: `[ -f "$HOME/.server.pid" ] || exit 0
pid=$(cat "$HOME/.server.pid"); rm "$HOME/.server.pid"
kill "$pid" 2>/dev/null
for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
kill -9 "$pid"`,
  // A program that stays connected: has it printed the expected text, and is it still running?
  stays: `node "$1" >"$1.out" 2>&1 &
pid=$!
for _ in $(seq 600); do
  grep -q "$2" "$1.out" && break
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
cat "$1.out"
kill "$pid"`,
  // Error answers fail the script.
  curl: `exec "$CURL" --fail-with-body --max-time 20 "$@"`,
};

/** A clean machine: an empty home, a copy of the repository, and the packages that the pages name. */
async function machine(t) {
  const home = mkdtempSync(path.join(tmpdir(), "happierwork-docs-"));
  const copy = path.join(home, "happierwork");
  const standIns = path.join(home, ".stand-ins");
  const left = new Set([".git", "target", "node_modules", "generated", "corpus"]);
  cpSync(ROOT, copy, { recursive: true, filter: (source) => !left.has(path.basename(source)) });
  symlinkSync(PACKAGES, path.join(copy, "node_modules"));
  mkdirSync(standIns);
  // A folder of the system, which its operator has created.
  mkdirSync(path.join(home, "var/lib/happierwork"), { recursive: true });
  for (const [name, text] of Object.entries(STAND_INS)) {
    writeFileSync(path.join(standIns, name), `#!/bin/bash\n${text}\n`);
    chmodSync(path.join(standIns, name), 0o755);
  }
  const ports = { 8000: await freePort(), 8001: await freePort() };
  const system = process.env.PATH;
  const curl = system.split(path.delimiter).map((folder) => path.join(folder, "curl")).find(existsSync);
  if (!curl) throw new Error("curl is missing: the documentation uses it");
  const env = {
    HOME: home,
    // `cargo` is available; the installed program only after its installation.
    PATH: [path.join(home, "path"), path.join(home, ".cargo/bin"), system].join(path.delimiter),
    LANG: "C.UTF-8",
    STAND_INS: standIns,
    BINARY,
    CURL: curl,
    PORT_8000: String(ports[8000]),
    PORT_8001: String(ports[8001]),
    // The oldest supported Node.js has no WebSocket of its own.
    NODE_OPTIONS: "--no-experimental-websocket",
  };
  mkdirSync(path.join(home, "path"));
  for (const name of ["cargo", "curl"]) symlinkSync(path.join(standIns, name), path.join(home, "path", name));
  t.after(async () => {
    await run("bash", [path.join(standIns, "stop")], { env });
    rmSync(home, { recursive: true, force: true });
  });
  return { home, copy, env, ports };
}

function run(program, args, options) {
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 64 << 20, ...options }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
  });
}

/**
 * Runs all blocks of a page that are marked `sh`, `console` or `js`, in order and as written, except for ports. `skipped` tells
 * whether a line (of a program: its first line) is not run; `stays` returns the expected output of a program that stays
 * connected. Returns all output and the reader's home.
 */
export async function follow(t, page, { skipped, stays, replace }) {
  const { home, copy, env, ports } = await machine(t);
  const there = (text) => replace(text, home).replaceAll(/(127\.0\.0\.1|localhost):(8000|8001)\b/g, (_, host, port) => `${host}:${ports[port]}`);
  const back = (text) =>
    text.replaceAll("\r\n", "\n").replaceAll(`:${ports[8000]}`, ":8000").replaceAll(`:${ports[8001]}`, ":8001").replaceAll(copy, "/home/you/happierwork");
  const markdown = readFileSync(path.join(ROOT, page), "utf8");
  const script = ["set -euo pipefail"];
  const expected = new Map();
  const add = (line, commands, output) => {
    script.push(`echo; echo "${MARK}${line}"`, commands);
    if (output) expected.set(line, output);
  };
  const blocks = blocksOf(markdown).filter(({ language }) => ["sh", "console", "js"].includes(language));
  // A page about a server assumes that one is running.
  const used = blocks.some(({ text }) => /(127\.0\.0\.1|localhost):8000/.test(text));
  if (used && !blocks.some(({ text }) => text.includes("cargo run --release"))) add(0, "cargo run --release");
  for (const { language, text, line } of blocks) {
    if (language === "sh") {
      const lines = text.split("\n").filter((command) => !skipped(page, command));
      add(line, there(lines.join("\n")));
    } else if (language === "console") {
      consoleSteps(text).forEach(({ command, output }, index) => {
        if (!skipped(page, command)) add(line + index / 100, there(command), output.join("\n").trim());
      });
    } else if (!skipped(page, text.split("\n")[0])) {
      const program = path.join(copy, `block-${line}.mjs`);
      writeFileSync(program, there(text));
      const last = stays(page, text);
      add(line, last ? `"$STAND_INS/stays" ${program} "${last}"` : `timeout 60 node ${program}`);
      if (last) expected.set(line, new RegExp(last));
    }
  }
  const { error, stdout, stderr } = await run("bash", ["-c", script.join("\n")], { cwd: copy, env, timeout: 240_000, killSignal: "SIGKILL" });
  const outputs = new Map(
    stdout.split(`\n${MARK}`).slice(1).map((part) => {
      const [first, ...rest] = part.split("\n");
      return [Number(first), back(rest.join("\n")).trim()];
    }),
  );
  if (error) {
    const at = [...outputs.keys()].at(-1);
    throw new Error(`${page}, the block at line ${at}: ${error.message.split("\n")[0]}\n${outputs.get(at) ?? ""}\n${stderr}`);
  }
  return { outputs, expected, home, text: stdout };
}
