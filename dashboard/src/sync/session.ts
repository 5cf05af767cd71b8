/** Who we are to the server, remembered for when it is out of reach. */
import { STORAGE_PREFIX } from "./storage-prefix"

export interface User {
  name: string
  role: "viewer" | "editor" | "owner"
}

export interface Session {
  /** Whether the server asks who somebody is. */
  required: boolean
  /** Whether one can log in with a password. */
  accounts: boolean
  user: User | null
}

const KEY = `${STORAGE_PREFIX}.session`
const NAME = `${STORAGE_PREFIX}.name`

/** How long a server may take to say who we are before the page goes on without it. */
const PATIENCE = 4_000

function cachedSession(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") as Session | null
  } catch {
    return null
  }
}

/** What the server says, or what it said last. null: never met. */
export async function readSession(): Promise<{ session: Session | null; isFresh: boolean }> {
  try {
    const response = await fetch("api/session", { signal: AbortSignal.timeout(PATIENCE) })
    if (response.ok) {
      const session = (await response.json()) as Session
      localStorage.setItem(KEY, JSON.stringify(session))
      return { session, isFresh: true }
    }
  } catch {
    // Out of reach.
  }
  return { session: cachedSession(), isFresh: false }
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
    return { ok: false, reason: "The server cannot be reached. Try again when you have a connection." }
  }
  if (response.ok) return { ok: true }
  if (response.status === 401) return { ok: false, reason: "This name and password do not belong together." }
  const body = (await response.json().catch(() => null)) as { error?: string } | null
  return { ok: false, reason: `${body?.error ?? `The server answered ${response.status}`}.` }
}

export async function logout(): Promise<void> {
  const response = await fetch("accounts/api/logout/", { method: "POST" })
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  localStorage.removeItem(KEY)
}

/** What others see as our name, where the server does not ask. */
export const readDisplayName = (): string => localStorage.getItem(NAME) ?? ""
export const saveDisplayName = (name: string): void => localStorage.setItem(NAME, name.trim())

/** Whose local copies these are: two people at one browser do not see each other's. */
export const ownerOf = (session: Session): string => session.user?.name ?? ""
