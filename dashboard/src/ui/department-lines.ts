/** The lines of the form for budgets of departments. */
import type { DepartmentBudget, DepartmentUse } from "../plan/department-budgets"
import { toEditText } from "../plan/format"
import { foldText } from "../plan/text"

/** A line of the form: a department and its stored budget. */
export interface Line {
  name: string
  initial: string
  use: DepartmentUse | null
}

/** The changed budgets by department. */
export type TypedBudgets = readonly (readonly [name: string, text: string])[]

const initialText = (budget: DepartmentBudget | null): string => budget?.mistyped ?? toEditText(budget?.amount ?? null)

export function toLines(uses: readonly DepartmentUse[]): Line[] {
  return uses.flatMap((use) => {
    const duplicates = use.duplicates.map((budget): Line => ({ name: budget.name, initial: initialText(budget), use: null }))
    if (use.key === "" && !use.budget) return duplicates
    return [{ name: use.budget?.name ?? use.name, initial: initialText(use.budget), use }, ...duplicates]
  })
}

/**
 * The lines of a form that is opened again, and its texts by name. A department may have gone meanwhile, or be spelled differently: what was
 * typed for it gets a line of its own, or that of the other spelling.
 */
export function restoreLines(lines: readonly Line[], typed: TypedBudgets): { lines: readonly Line[]; texts: ReadonlyMap<string, string> } {
  const all = [...lines]
  const texts = new Map(lines.map(({ name, initial }): [string, string] => [name, initial]))
  for (const [name, text] of typed) {
    const line = all.find((other) => other.name === name) ?? all.find(({ use }) => use !== null && use.key === foldText(name))
    // A budget that was removed has gone with its department.
    if (!line && text === "") continue
    if (!line) all.push(lineWithoutPositions(name))
    texts.set(line?.name ?? name, text)
  }
  return { lines: all, texts }
}

const lineWithoutPositions = (name: string): Line => ({
  name,
  initial: "",
  use: { key: foldText(name), name, used: 0, count: 0, budget: null, duplicates: [], left: null },
})
