/** Interprets column names: `Annual Salary (USD)` is a budget in USD. */
import { codesOf } from "../currencies"
import { type ColumnKey, FIELD_DEFINITIONS, type FieldKey, type OwnColumn } from "../fields"
import { unescapeFormulas } from "../formula-escaping"
import { foldText } from "../text"

export interface ColumnMeaning {
  field: ColumnKey
  /** Of two columns for one field, the import reads the one with the lower rank. */
  rank: number
  /** Unit word for all amounts of the column; empty if the name has none. */
  unit: string
  /** Currency for all amounts of the column, as written; empty if the name has none. */
  currency: string
}

/** Why a budget column cannot be read. */
export interface ColumnProblem {
  problem: string
}

/** Splits a name at capital letters: `jobTitle` is two words. */
const splitCapitals = (name: string): string => name.replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")

const RANKS = new Map<string, { field: FieldKey; rank: number }>(
  // Exported files name columns by key or label.
  FIELD_DEFINITIONS.flatMap(({ key, label, columnNames }) =>
    [...columnNames, splitCapitals(key).toLowerCase(), label.toLowerCase()]
      .map((name, rank) => [name, { field: key as FieldKey, rank }] as const)
      .reverse(),
  ),
)
/** A column named by its unit alone, such as `₹ lakh`. */
const UNNAMED_BUDGET = { field: "budget", rank: RANKS.size } as const

/** Unit words in column names, mapped to those that {@link parseAmount} accepts. */
const UNITS = new Map([
  ["thousand", "thousand"],
  ["thousands", "thousand"],
  ["000", "thousand"],
  ["000s", "thousand"],
  ["l", "lakh"],
  ["lac", "lakh"],
  ["lacs", "lakh"],
  ["lakh", "lakh"],
  ["lakhs", "lakh"],
  ["lpa", "lakh"],
  ["million", "million"],
  ["millions", "million"],
  ["cr", "crore"],
  ["crore", "crore"],
  ["crores", "crore"],
  ["billion", "billion"],
  ["billions", "billion"],
])
const AMBIGUOUS_UNITS = new Set(["k", "m", "mm", "mn", "mio", "mln", "b", "bn", "t"])
/** Budgets are per year. */
const OTHER_PERIODS = /^(month|months|monthly|mo|pm|week|weekly|day|daily|hour|hourly|hr|hrs|quarter|quarterly)$/
const NOISE = /^(annual|annually|annum|yearly|year|yr|pa|per|in|of|the|a|fy|fy\d{2,4}|(19|20)\d{2})$/

/** Splits a column name into words without punctuation. Currency symbols are words; `jobTitle` is two words, `p.a.` is one. */
const wordsOf = (head: string): string[] =>
  splitCapitals(head.normalize("NFKC"))
    .replace(/(?<!\p{L})(?:\p{L}\.\s?)+\p{L}(?!\p{L})\.?/gu, (abbreviation) => `${abbreviation.replace(/[.\s]/g, "")} `)
    .match(/\p{Sc}|[\p{L}\p{N}\p{M}]+/gu) ?? []

const nameOf = (words: readonly string[]): { field: FieldKey; rank: number } | undefined => {
  const name = words.join(" ").toLowerCase()
  return RANKS.get(name) ?? RANKS.get(name.replace(/s$/, ""))
}

/** Symbols, `Rs`, and codes in capitals. The column name `All` is not the currency of Albania. */
const isCurrency = (word: string): boolean => codesOf(word) !== null && (!/^[A-Za-z]{3}$/.test(word) || word === word.toUpperCase())

/** Names that a field has in every table. Further names of it may be those of a column of the plan. */
const FIELD_NAMES: ReadonlySet<string> = new Set(FIELD_DEFINITIONS.flatMap(({ key, label }) => [foldText(key), foldText(label)]))

/** The heads under which a column of the plan is found: its title, its key, and both as an export writes them if the title is not unique. */
export function isHeadOf({ key, label }: OwnColumn, head: string): boolean {
  const folded = foldText(unescapeFormulas(head))
  if (head.trim() === key || folded === foldText(qualifiedHead({ key, label }))) return true
  return folded === foldText(label) && !FIELD_NAMES.has(folded)
}

/** The head of a column that its title does not identify. */
export const qualifiedHead = ({ key, label }: Pick<OwnColumn, "key" | "label">): string => `${label} (${key})`

/** The meaning of a column name; `null` if it names no field. `own`: the columns of the plan. */
export function parseColumnName(head: string, own: readonly OwnColumn[] = []): ColumnMeaning | ColumnProblem | null {
  const column = own.find((other) => isHeadOf(other, head))
  if (column) return { field: column.key, rank: 0, unit: "", currency: "" }
  const plain = nameOf(wordsOf(head)) ?? nameOf(wordsOf(head.replace(/[([].*?[)\]]/g, " ")))
  if (plain && plain.field !== "budget") return { ...plain, unit: "", currency: "" }
  if (head.includes("/") && !plain) {
    const parts = head.split("/").map((part) => nameOf(wordsOf(part)))
    const first = parts[0]
    if (first && first.field !== "budget" && parts.every((part) => part?.field === first.field)) return { ...first, unit: "", currency: "" }
  }
  return budgetMeaning(head)
}

function budgetMeaning(head: string): ColumnMeaning | ColumnProblem | null {
  const name: string[] = []
  const units: string[] = []
  const currencies: string[] = []
  let ambiguous = ""
  let hasPeriod = false
  // Words in brackets may contain a unit or a currency; others are ignored.
  const aside = [...head.matchAll(/[([](.*?)[)\]]/g)].flatMap(([, inner = ""]) => wordsOf(inner))
  const main = wordsOf(head.replace(/[([].*?[)\]]/g, " "))
  for (const [at, word] of [...main, ...aside].entries()) {
    const lower = word.toLowerCase()
    const unit = UNITS.get(lower)
    if (OTHER_PERIODS.test(lower)) hasPeriod = true
    else if (unit) units.push(unit)
    else if (AMBIGUOUS_UNITS.has(lower)) ambiguous = word
    else if (isCurrency(word)) currencies.push(word)
    else if (!NOISE.test(lower) && at < main.length) name.push(word)
  }
  const isUnitOnly = name.length === 0 && main.length > 0 && (units.length > 0 || currencies.length > 0)
  const named = nameOf(name) ?? (isUnitOnly ? UNNAMED_BUDGET : undefined)
  if (named?.field !== "budget") return null
  const quoted = `“${head.trim()}”`
  if (hasPeriod) return { problem: `${quoted} is not an annual amount.` }
  if (ambiguous)
    return { problem: `The unit of ${quoted} is ambiguous. Write it in full, such as “Budget (thousand)” or “Budget (million)”.` }
  if (new Set(units).size > 1 || new Set(currencies.map((word) => codesOf(word)?.join())).size > 1)
    return { problem: `${quoted} names several units or currencies. Name one.` }
  return { ...named, unit: units[0] ?? "", currency: currencies[0] ?? "" }
}
