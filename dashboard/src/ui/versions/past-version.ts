/** An earlier version of the plan, as a user chooses it. */
import type { NamedVersion } from "../../plan/versions"

export type PastVersion =
  /** `heads`: hexadecimal. `label`: such as `after a change by CFO`. */
  | { kind: "state"; heads: readonly string[]; label: string }
  | { kind: "named"; id: string }
  /** As the fields for date and time have them; an empty time is the beginning of the day. */
  | { kind: "date"; date: string; time: string }

/** The time of a date and a time in the zone of the browser; `null` if there is no date. */
export function timeOf({ date, time }: { date: string; time: string }): number | null {
  const at = new Date(`${date}T${time || "00:00"}`).getTime()
  return Number.isNaN(at) ? null : at
}

/** The date of a time in the zone of the browser, as a field for dates has it. */
export function dateOf(at: number): string {
  const day = new Date(at)
  const [month, date] = [day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0"))
  return `${String(day.getFullYear()).padStart(4, "0")}-${month}-${date}`
}

/** The version that is shown first: the one that was named last, or yesterday. */
export const firstVersion = ([latest]: readonly NamedVersion[], now: number): PastVersion =>
  latest ? { kind: "named", id: latest.id } : { kind: "date", date: dateOf(now - 86_400_000), time: "" }

/** The name of a version; untitled ones have none. */
export const versionName = ({ name }: NamedVersion): string => name || "Untitled version"

/** The names of the versions after each of these entries, by hash. Of several heads, the entry that is listed first has the name. */
export function versionNames(versions: readonly NamedVersion[], entries: readonly { hash: string }[]): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>()
  for (const version of versions) {
    const latest = entries.find(({ hash }) => version.heads.includes(hash))
    if (latest) found.set(latest.hash, [...(found.get(latest.hash) ?? []), versionName(version)])
  }
  return found
}
