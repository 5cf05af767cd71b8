import type { Person } from "../sync/presence"

/** A colour derived from the name, the same on all devices. */
export function personColour(name: string): string {
  let hash = 0
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9_973
  return `person-${hash % 8}`
}

const initials = (name: string): string => {
  const words = name.split(/[\s@._-]+/).filter(Boolean)
  return (
    words.length > 1 ? `${[...(words[0] ?? "")][0]}${[...(words[1] ?? "")][0]}` : [...(words[0] ?? "?")].slice(0, 2).join("")
  ).toUpperCase()
}

const MAX_AVATARS = 5

/** Avatars of collaborators. */
export function People({ people }: { people: readonly Person[] }) {
  // Several tabs of one user count once.
  const names = [...new Map(people.map((person) => [`${person.name}/${person.isLegacy}`, person])).values()]
  return (
    <ul className="people" aria-label="Collaborators">
      {names.slice(0, MAX_AVATARS).map((person) => (
        <li
          key={person.key}
          className={`person ${personColour(person.name)}`}
          title={person.isLegacy ? `${person.name} (legacy page)` : person.name}
        >
          <span aria-hidden>{initials(person.name)}</span>
          <span className="hidden">
            {person.name}
            {person.isLegacy ? ", legacy page" : ""}
          </span>
        </li>
      ))}
      {names.length > MAX_AVATARS && (
        <li className="person more">
          +{names.length - MAX_AVATARS}
          <span className="hidden"> more</span>
        </li>
      )}
    </ul>
  )
}
