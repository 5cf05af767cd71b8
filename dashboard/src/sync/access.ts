/** Who has access to a plan, as the server records it. Requires a connection; only owners may read and change it. */
import { callApi } from "./api"
import type { User } from "./session"

export type Role = User["role"]

export const ROLES = ["viewer", "editor", "owner"] as const satisfies readonly Role[]

/** A user who has been given a role in a plan. */
export interface Member {
  name: string
  role: Role
  /** The user created the plan. */
  isCreator: boolean
}

const pathOf = (plan: string) => `api/documents/${plan}/access`

/** The users with a role in the plan: owners first. Users whose account gives access are not among them. */
export async function readMembers(plan: string): Promise<Member[]> {
  const response = await callApi(pathOf(plan))
  return toMembers((await response.json()) as { owner: string | null; users: Record<string, Role> })
}

export function toMembers({ owner, users }: { owner: string | null; users: Record<string, Role> }): Member[] {
  const members = Object.entries(users).map(([name, role]): Member => ({ name, role, isCreator: false }))
  if (owner !== null) members.push({ name: owner, role: "owner", isCreator: true })
  const rank = ({ isCreator, role }: Member) => (isCreator ? -1 : ROLES.length - ROLES.indexOf(role))
  return members.sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name))
}

/** Gives a user a role, or changes it. The server does not check whether the user exists. */
export async function setRole(plan: string, user: string, role: Role): Promise<void> {
  await callApi(`${pathOf(plan)}/${encodeURIComponent(user)}`, "PUT", { role })
}

export async function removeMember(plan: string, user: string): Promise<void> {
  await callApi(`${pathOf(plan)}/${encodeURIComponent(user)}`, "DELETE")
}

/**
 * The name of a user as the server records it. Accounts have no upper-case ASCII letters; users of an identity provider are named as the
 * provider names them.
 */
export const toUserName = (text: string, hasAccounts: boolean): string =>
  hasAccounts ? text.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text.trim()
