/** The server binary in a temporary folder, on a port that it keeps across restarts. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"

import { freePort } from "../../../tests/js/support/ports.mjs"

const ROOT = path.resolve(import.meta.dirname, "../../..")
const BINARY = path.resolve(ROOT, process.env.HAPPIERWORK_BIN ?? "target/debug/happierwork")
const SAMPLE = path.join(ROOT, "tests/fixtures/legacy/positions.json")
/** Folder for server logs, which are searched for secrets. */
const LOGS = process.env.HAPPIERWORK_TEST_LOGS

if (!existsSync(BINARY)) throw new Error(`Server binary not found at ${BINARY}. Run \`cargo build\` or set HAPPIERWORK_BIN.`)

export interface Row {
  id: string
  designation: string
  department: string
  budget: number
  location: string
  conflicts?: Record<string, unknown[]>
}

export class Server {
  #process: ChildProcess | null = null
  /** Its startup message so far. */
  readonly printed: string[] = []
  readonly folder = mkdtempSync(path.join(tmpdir(), "happierwork-dashboard-"))

  private constructor(
    readonly port: number,
    readonly flags: string[],
  ) {}

  /** Starts with the given rows, or with the 60 positions of the demo. */
  static async start({ flags = [], rows }: { flags?: string[]; rows?: unknown[] } = {}): Promise<Server> {
    const server = new Server(await freePort(), flags)
    if (rows) writeFileSync(path.join(server.folder, "rows.json"), JSON.stringify(rows))
    const file = rows ? path.join(server.folder, "rows.json") : SAMPLE
    if (!rows || rows.length > 0) server.run("import", file, "--state", server.state, "--name", "Growth 2027", "--total-budget", "2000")
    await server.up()
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get state(): string {
    return path.join(this.folder, "state.automerge")
  }

  /** Folder of the accounts. */
  get auth(): string {
    return path.join(this.folder, "auth")
  }

  /** Runs a command of the binary. */
  run(...args: string[]): string {
    return execFileSync(BINARY, args, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] })
  }

  /** `documents`: the plans that the account gives access to. */
  addUser(name: string, role: string, password: string, documents = "*"): void {
    execFileSync(BINARY, ["user", "add", name, "--role", role, "--documents", documents, "--auth", this.auth], {
      input: `${password}\n`,
      stdio: ["pipe", "pipe", "pipe"],
    })
  }

  /** Starts the server and waits until it listens. */
  async up(): Promise<void> {
    const flags = [
      "--listen",
      `127.0.0.1:${this.port}`,
      "--state",
      this.state,
      "--documents",
      path.join(this.folder, "documents"),
      ...this.flags,
    ]
    const child = spawn(BINARY, flags, { stdio: ["ignore", "pipe", "pipe"] })
    this.#process = child
    let log = ""
    child.stderr?.on("data", (data) => {
      log += data
      if (LOGS) appendFileSync(path.join(LOGS, `dashboard-${process.pid}.log`), data)
    })
    this.printed.length = 0
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    await new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => {
        this.printed.push(line)
        if (line.startsWith("listening")) resolve()
      })
      lines.on("close", () => reject(new Error(`the server did not start: ${log}`)))
    })
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill("SIGKILL")
    await once(child, "exit")
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Positions from the JSON API. */
  async rows(headers: Record<string, string> = {}): Promise<Row[]> {
    const response = await fetch(`${this.url}/api/documents/default/positions`, { headers })
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
    return ((await response.json()) as { positions: Row[] }).positions
  }

  /** Changes a position with the JSON API. */
  async change(id: string, fields: Partial<Row>): Promise<void> {
    const response = await fetch(`${this.url}/api/documents/default/positions/${id}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(fields),
    })
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  }
}
