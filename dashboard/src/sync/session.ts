/** The session, cached for offline use. */
import { STORAGE_PREFIX } from "./storage-prefix"
import { storeItem, storeTabItem } from "./stored-items"

export interface User {
  name: string
  role: "viewer" | "editor" | "owner"
}

export interface Session {
  /** The server requires authentication. */
  required: boolean
  /** The server has accounts with passwords. */
  accounts: boolean
  /** The identity provider by which users can log in; `undefined` in a session that an older version cached. */
  provider?: { name: string } | null
  user: User | null
}

const SESSION_KEY = `${STORAGE_PREFIX}.session`
const NAME_KEY = `${STORAGE_PREFIX}.name`

/** Timeout after which the page continues with the cached session. */
const SESSION_TIMEOUT_MS = 4_000

function cachedSession(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(SESSION_KEY) ?? "null") as Session | null
  } catch {
    return null
  }
}

/** The session from the server, or else the cached one; `null` on a first visit without a connection. */
export async function readSession(): Promise<{ session: Session | null; isFresh: boolean }> {
  const session = await requestSession()
  if (session) cacheSession(session)
  return session ? { session, isFresh: true } : { session: cachedSession(), isFresh: false }
}

/** The session from the server; `null` if it cannot be reached. */
async function requestSession(): Promise<Session | null> {
  try {
    const response = await fetch("api/session", { signal: AbortSignal.timeout(SESSION_TIMEOUT_MS) })
    return response.ok ? ((await response.json()) as Session) : null
  } catch {
    return null
  }
}

/** If the session cannot be stored, that of another user does not stay in its place: offline, the page would open their data. */
function cacheSession(session: Session): void {
  if (storeItem(SESSION_KEY, JSON.stringify(session))) return
  const cached = cachedSession()
  if (cached && ownerOf(cached) !== ownerOf(session)) storeItem(SESSION_KEY, null)
}

export type LoginResult = { ok: true } | { ok: false; reason: string }

export async function login(email: string, password: string): Promise<LoginResult> {
  let response: Response
  try {
    response = await fetch("accounts/api/login/", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    })
  } catch {
    return { ok: false, reason: "The server cannot be reached. Check your connection and try again." }
  }
  if (response.ok) return { ok: true }
  if (response.status === 401) return { ok: false, reason: "Incorrect username or password." }
  const body = (await response.json().catch(() => null)) as { error?: string } | null
  return { ok: false, reason: `${body?.error ?? `The server answered ${response.status}`}.` }
}

/** Where a login by the identity provider begins. */
export const PROVIDER_LOGIN = "api/login"

const ADDRESS_KEY = `${STORAGE_PREFIX}.address`
const PROVIDER_FAILURE_PREFIX = "#login="

const PROVIDER_FAILURES = new Map([
  ["expired", "The login took too long, or was begun in another browser. Try again."],
  ["cancelled", "The login was cancelled."],
  ["refused", "Your account may not use this server. Ask its operator for access."],
  ["busy", "Too many people are logging in at the moment. Try again in a few seconds."],
])

/** Why a login by the identity provider failed; `null` for other addresses. */
export function providerFailure(fragment: string): string | null {
  if (!fragment.startsWith(PROVIDER_FAILURE_PREFIX)) return null
  const reason = fragment.slice(PROVIDER_FAILURE_PREFIX.length)
  return PROVIDER_FAILURES.get(reason) ?? "The login failed. Try again, or ask the operator of this server."
}

/** Keeps the address, which the provider does not return. */
export function keepAddress(fragment: string): void {
  if (providerFailure(fragment) === null) storeTabItem(ADDRESS_KEY, fragment)
}

/** The address before a login by the identity provider, once. */
export function takeAddress(): string {
  const kept = sessionStorage.getItem(ADDRESS_KEY) ?? ""
  storeTabItem(ADDRESS_KEY, null)
  return kept
}

const SETUP_PREFIX = "#setup="

/** The code of a link that creates the first account of a server; `null` for other addresses. */
export function setupCode(fragment: string): string | null {
  if (!fragment.startsWith(SETUP_PREFIX)) return null
  const code = fragment.slice(SETUP_PREFIX.length)
  try {
    return decodeURIComponent(code)
  } catch {
    // The server rejects a mangled code, and the form says so.
    return code
  }
}

/** Creates the first account of a server. */
export async function setUp(code: string, name: string, password: string): Promise<LoginResult> {
  let response: Response
  try {
    response = await fetch("api/setup", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code, name, password }),
    })
  } catch {
    return { ok: false, reason: "The server cannot be reached. Check your connection and try again." }
  }
  if (response.ok) return { ok: true }
  const body = (await response.json().catch(() => null)) as { detail?: string } | null
  return { ok: false, reason: `${body?.detail ?? `The server answered ${response.status}`}.` }
}

export async function logout(): Promise<void> {
  const response = await fetch("accounts/api/logout/", { method: "POST" })
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  storeItem(SESSION_KEY, null)
}

/** Display name for servers without authentication. */
export const readDisplayName = (): string => localStorage.getItem(NAME_KEY) ?? ""
export function saveDisplayName(name: string): void {
  storeItem(NAME_KEY, name)
}

/** User whose local database is used; empty without authentication. */
export const ownerOf = (session: Session): string => session.user?.name ?? ""
