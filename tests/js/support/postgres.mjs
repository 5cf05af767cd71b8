// A PostgreSQL server for one run of the tests, in a temporary folder. It stops when this process ends.

import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { freePort } from "./ports.mjs";
import { pause } from "./until.mjs";

const USER = "admin";
/** tests/secrets.mjs searches the logs for it. */
const PASSWORD = "correct horse";

/** Ends the server and removes its folder when standard input closes. */
const UNTIL_CLOSED =
  'folder=$1; shift; "$@" & server=$!; cat > /dev/null; kill -INT $server; sleep 0.3; kill -KILL $server 2> /dev/null; ' +
  'wait $server; rm -rf "$folder"';

function programs() {
  const folders = existsSync("/usr/lib/postgresql")
    ? readdirSync("/usr/lib/postgresql").map((version) => `/usr/lib/postgresql/${version}/bin`)
    : [];
  const found = [...folders, ...process.env.PATH.split(path.delimiter)].find((folder) => existsSync(path.join(folder, "initdb")));
  if (!found) throw new Error("PostgreSQL is missing: sudo apt-get install postgresql");
  return found;
}

/** A command as an unprivileged user: PostgreSQL refuses to run as root. */
function unprivileged(...command) {
  const isRoot = process.getuid() === 0;
  return isRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", ...command] : command;
}

class Postgres {
  static async start() {
    const bin = programs();
    const folder = mkdtempSync(path.join(tmpdir(), "happierwork-postgres-"));
    chmodSync(folder, 0o755);
    const [password, data, log] = ["password", "data", "log"].map((name) => path.join(folder, name));
    writeFileSync(password, PASSWORD, { mode: 0o644 });
    if (process.getuid() === 0) execFileSync("chown", ["postgres", folder]);
    const init = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", `--username=${USER}`];
    const [program, ...args] = unprivileged(path.join(bin, "initdb"), ...init, `--pwfile=${password}`, `--pgdata=${data}`);
    execFileSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    const port = await freePort();
    const settings = ["listen_addresses=127.0.0.1", "max_connections=300", "shared_buffers=64MB"];
    const server = unprivileged(path.join(bin, "postgres"), "-D", data, "-p", String(port), "-k", folder);
    const out = openSync(log, "w");
    const shell = spawn("sh", ["-c", UNTIL_CLOSED, "sh", folder, ...server, ...settings.flatMap((each) => ["-c", each])], {
      stdio: ["pipe", out, out],
    });
    shell.unref();
    shell.stdin.unref();
    const postgres = new Postgres(bin, port, shell);
    for (let tries = 0; ; tries += 1) {
      try {
        postgres.query("postgres", "SELECT 1");
        return postgres;
      } catch (error) {
        if (tries === 200) throw new Error(`PostgreSQL does not start: ${readFileSync(log, "utf8")}`, { cause: error });
        await pause(50);
      }
    }
  }

  constructor(bin, port, shell) {
    this.psql = path.join(bin, "psql");
    this.port = port;
    this.shell = shell;
  }

  url(database) {
    return `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${this.port}/${database}`;
  }

  /** Runs SQL, and returns the rows as text. */
  query(database, sql) {
    const where = ["-h", "127.0.0.1", "-p", String(this.port), "-U", USER, "-d", database];
    const args = [...where, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "-c", sql];
    const env = { ...process.env, PGPASSWORD: PASSWORD };
    return execFileSync(this.psql, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 256 << 20 }).trim();
  }
}

let started;
/** The server of this run. */
export function postgres() {
  started ??= Postgres.start();
  return started;
}
