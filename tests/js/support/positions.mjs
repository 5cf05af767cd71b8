// Positions as JavaScript clients write and read them.

import * as Automerge from "@automerge/automerge";

export function position(designation, more = {}) {
  return {
    designation,
    department: "Engineering",
    budget: 12,
    location: "Pune",
    createdAt: new Date(),
    updatedAt: new Date(),
    updatedBy: "js",
    ...more,
  };
}

/** Adds a position with its designation as its id, so that tests can find it everywhere. */
export const add = (designation, more) => (doc) => {
  doc.positions[designation] = position(designation, more);
};

/** The designations of a document's positions, sorted. */
export function designations(doc) {
  return Object.values(doc.positions ?? {})
    .map((row) => plain(row.designation))
    .sort();
}

/** The positions of a document without fields that only the document has, for comparison. */
export function plainRows(doc) {
  return Object.fromEntries(
    Object.entries(doc.positions)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([id, row]) => [
        id,
        {
          designation: plain(row.designation),
          department: plain(row.department),
          budget: plain(row.budget),
          location: plain(row.location),
        },
      ]),
  );
}

/** The same for rows that were exported or listed. */
export function plainList(rows) {
  const sorted = [...rows].sort((one, other) => (one.id < other.id ? -1 : 1));
  return Object.fromEntries(
    sorted.map(({ id, designation, department, budget, location }) => [
      id,
      { designation, department, budget: Number(budget), location },
    ]),
  );
}

/** Opens a document from a file's bytes, with the library's strict checks. */
export function open(bytes) {
  return Automerge.load(bytes);
}

function plain(value) {
  return value instanceof Automerge.ImmutableString ? value.val : value;
}

/** Fails unless two lists hold the same names equally often. The error names missing and surplus ones. */
export function assertSame(actual, expected, what) {
  const count = (names) => names.reduce((counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1), new Map());
  const [there, wanted] = [count(actual), count(expected)];
  const missing = [...wanted].filter(([name, n]) => (there.get(name) ?? 0) < n).map(([name]) => name);
  const extra = [...there].filter(([name, n]) => (wanted.get(name) ?? 0) < n).map(([name]) => name);
  if (missing.length + extra.length > 0) {
    const some = (names) => `${names.length} (${names.slice(0, 8).join(", ")})`;
    throw new Error(`${what}: of ${expected.length}, missing ${some(missing)}; too many ${some(extra)}`);
  }
}
