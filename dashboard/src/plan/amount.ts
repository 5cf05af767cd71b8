/**
 * Reads an amount of money as people type, paste and import it: `12.5`, `₹ 8 lakh`, `1.234,56 €`, `50000/-`.
 *
 * An amount is taken exactly or refused with the reason; nothing is guessed or dropped. The server reads amounts by the same
 * grammar, and `docs/amounts.md` lists examples of all that is taken and refused.
 */
import { codesOf } from "./currencies"

/** What stands between groups of digits, and before decimals. */
export interface NumberSeparators {
  group: string
  decimal: string
}

/** As programs write numbers. */
export const CANONICAL_SEPARATORS: NumberSeparators = { group: ",", decimal: "." }

/** The marks of a language; without one, of the reader's. */
export function separatorsOf(language?: string): NumberSeparators {
  const mark = (type: "group" | "decimal", format: Intl.NumberFormat) =>
    format.formatToParts(1_234_567.8).find((part) => part.type === type)?.value ?? ""
  const numbers = new Intl.NumberFormat(language)
  // Austria groups numbers by spaces, and money by points.
  const money = mark("group", new Intl.NumberFormat(language, { style: "currency", currency: "EUR" }))
  return { group: money === "." ? money : mark("group", numbers), decimal: mark("decimal", numbers) }
}

/** The marks of the reader's language. */
export const LOCALE_SEPARATORS = separatorsOf()

/** What an amount counts in. */
export interface AmountFormat {
  /** The reader's separators if absent. */
  separators?: NumberSeparators
  /** Code of the plan's currency. If absent, an amount may name any currency. */
  currency?: string
  /** Currency units in one unit of the plan, such as 100,000 for lakh. */
  unit: number
}

/** A number of the plan's units, or the reason why there is none, as a sentence for the person. */
export type ParsedAmount = { value: number } | { problem: string }

/** Why a text is not an amount. */
export type AmountError =
  | "empty"
  | "notANumber"
  | "grouping"
  | "negative"
  | "tooLarge"
  | "tooSmall"
  | "otherCurrency"
  | "ambiguousUnit"
  | "unknownWord"

/** Powers of ten by unit word. */
const UNIT_WORDS = new Map([
  ["thousand", 3],
  ["l", 5],
  ["lakh", 5],
  ["lakhs", 5],
  ["lac", 5],
  ["lacs", 5],
  ["million", 6],
  ["cr", 7],
  ["crore", 7],
  ["crores", 7],
  ["billion", 9],
])
/** Abbreviations that mean different powers of ten to different people. */
const AMBIGUOUS = new Set(["k", "t", "m", "mm", "mn", "mil", "mio", "mln", "b", "bn", "mrd", "tn"])

/** Formatters put these around amounts to keep their direction; pages put the others into texts. */
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
const OUTER_SPACE =
  /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g
const SPACES = /[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+/g
const DASHES = /[\u2010-\u2015\u2212\ufe63\uff0d]/g
/** The zeros of other scripts' decimal digits: Arabic, Indic, full-width. Nine more digits follow each. */
const ZEROS = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xff10]
const FOREIGN_DIGIT =
  /[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\uff10-\uff19]/g

const asciiDigit = (digit: string): string => {
  const code = digit.charCodeAt(0)
  return String(code - (ZEROS.find((zero) => zero <= code && code < zero + 10) ?? code))
}

/** One space for each run, one character for each kind of dash, apostrophe, plus sign and digit. */
const normalize = (text: string): string =>
  text
    .replace(INVISIBLE, "")
    .replace(OUTER_SPACE, "")
    .replace(SPACES, " ")
    .replace(DASHES, "-")
    .replace(/’/g, "'")
    .replace(/＋/g, "+")
    .replace(FOREIGN_DIGIT, asciiDigit)

const isBlank = (cleaned: string): boolean => cleaned === "" || cleaned === "-"

/** Whether a text holds no amount: nothing, white space, or the dash that tables put into an empty cell. */
export const isBlankAmount = (text: string): boolean => isBlank(normalize(text))

/** Thrown inside this file only. */
class AmountRejection {
  constructor(
    readonly kind: AmountError,
    /** The word or the currency that the refusal is about. */
    readonly word = "",
  ) {}
}

/** Reads an amount. */
export function parseAmount(text: string, format: AmountFormat): ParsedAmount {
  const result = parseOrReject(text, format)
  return result instanceof AmountRejection ? { problem: messageOf(text, result, format) } : { value: result }
}

/** Why an amount is refused; null if it is taken. */
export function amountErrorOf(text: string, format: AmountFormat): AmountError | null {
  const result = parseOrReject(text, format)
  return result instanceof AmountRejection ? result.kind : null
}

function parseOrReject(text: string, format: AmountFormat): number | AmountRejection {
  try {
    const cleaned = normalize(text)
    if (isBlank(cleaned)) return new AmountRejection("empty")
    const { isNegative, currencies, number, power } = splitParts(cleaned)
    const decimal = parseDecimal(number, format.separators ?? LOCALE_SEPARATORS)
    for (const word of currencies) assertCurrency(word, format.currency)
    const value = convertToUnit(decimal, power, format.unit)
    return isNegative ? new AmountRejection("negative") : value
  } catch (refused) {
    if (refused instanceof AmountRejection) return refused
    throw refused
  }
}

interface Parts {
  isNegative: boolean
  /** As written. */
  currencies: string[]
  /** Digits and separators. */
  number: string
  /** Of ten, if a unit is named. */
  power: number | null
}

/** Splits a cleaned text into sign, currencies, number and unit word. */
function splitParts(cleaned: string): Parts {
  let body = cleaned
  let signs = 0
  let isNegative = false
  const sign = (negative: boolean) => {
    signs += 1
    isNegative = negative
    if (signs > 1) throw new AmountRejection("notANumber")
  }
  if (body.startsWith("(") && body.endsWith(")")) {
    sign(true)
    body = body.slice(1, -1).trim()
  }
  if (/^[-+]/.test(body)) {
    sign(body.startsWith("-"))
    body = body.slice(1).trim()
  } else if (/\d ?-$/.test(body)) {
    // Some accounting programs put the sign at the end.
    sign(true)
    body = body.slice(0, -1).trim()
  }
  const first = body.search(/\d/)
  if (first < 0) throw new AmountRejection("notANumber")
  // A mark directly before the first digit is part of the number, unless it ends an abbreviation, as in `Rs.50`.
  const hasMark = first > 0 && /[.,٫]/.test(body[first - 1] ?? "")
  const isAbbreviation = hasMark && /\p{Alphabetic}$/u.test(body.slice(0, first - 1))
  const start = hasMark && !isAbbreviation ? first - 1 : first
  let prefix = body.slice(0, start)
  if (isAbbreviation && !/^(rs|fr)\.$/i.test(prefix)) throw new AmountRejection("notANumber")
  prefix = prefix.trim()
  if (/[-+]$/.test(prefix)) {
    sign(prefix.endsWith("-"))
    prefix = prefix.slice(0, -1).trim()
  } else if (prefix.endsWith("(") && body.endsWith(")")) {
    sign(true)
    prefix = prefix.slice(0, -1).trim()
    body = body.slice(0, -1).trim()
  }
  const currencies = prefix === "" ? [] : prefix.split(" ")
  const unknown = currencies.find((word) => codesOf(withoutPoint(word)) === null && !/^\p{Alphabetic}/u.test(word))
  if (unknown !== undefined) throw new AmountRejection("notANumber")
  const number = /^[.,٫]?\d+(?:[ '٬.,٫]+\d+)*[.,]?(?:[eE][-+]?\d+)?/.exec(body.slice(start))?.[0] ?? ""
  const suffix = body.slice(start + number.length)
  if (/\d/.test(suffix)) throw new AmountRejection("notANumber")
  const power = parseSuffix(suffix, currencies)
  return { isNegative, currencies: currencies.map(withoutPoint), number, power }
}

/** Reads unit word, currency and `/-` after a number. Adds the currency; returns the unit's power of ten. */
function parseSuffix(suffix: string, currencies: string[]): number | null {
  const words = suffix.match(/\/-|[^ /]+|\//g) ?? []
  let power: number | null = null
  let hasStroke = false
  let hasCurrency = false
  for (const word of words) {
    const bare = withoutPoint(word)
    const named = UNIT_WORDS.get(bare.toLowerCase())
    if (word === "/-" && !hasStroke) hasStroke = true
    else if (named !== undefined && power === null) power = named
    else if (AMBIGUOUS.has(bare.toLowerCase())) throw new AmountRejection("ambiguousUnit", word)
    else if (!hasCurrency && (codesOf(bare) !== null || /^\p{Alphabetic}/u.test(word))) {
      hasCurrency = true
      currencies.push(bare)
    } else throw new AmountRejection("notANumber")
  }
  return power
}

const withoutPoint = (word: string): string => word.replace(/\.$/, "")

/** Refuses a word that is not the plan's currency, or no currency at all. */
function assertCurrency(word: string, currency: string | undefined) {
  const named = codesOf(word)
  const planCurrency = currency?.trim() ?? ""
  if (planCurrency === "") {
    // Without a currency to compare with, `top 5` is not five pa'anga.
    if (named === null || (/^[a-z]{3}$/.test(word) && named[0]?.toLowerCase() === word)) throw new AmountRejection("unknownWord", word)
    return
  }
  if (word.toUpperCase() === planCurrency.toUpperCase()) return
  if (named === null) throw new AmountRejection("unknownWord", word)
  const codes = codesOf(planCurrency) ?? [planCurrency.toUpperCase()]
  if (!named.some((code) => codes.includes(code))) throw new AmountRejection("otherCurrency", named.length === 1 ? named[0] : word)
}

/** A number as an integer times a power of ten, so that units are converted without rounding. */
interface Decimal {
  digits: string
  exponent: number
}

function parseDecimal(number: string, separators: NumberSeparators): Decimal {
  const [mantissa = "", exponent] = number.split(/[eE]/)
  const { groups, fraction, mark } = splitNumber(mantissa, separators)
  if (groups.length > 1 && (!isGrouped(groups, mark) || exponent !== undefined)) throw new AmountRejection("grouping")
  // No text is long enough to make up for an exponent beyond this one.
  const power = Math.max(-1e9, Math.min(1e9, Number(exponent ?? 0)))
  return { digits: groups.join("") + fraction, exponent: power - fraction.length }
}

/** Finds the decimal mark and the groups before it. */
function splitNumber(text: string, separators: NumberSeparators): { groups: string[]; fraction: string; mark: string } {
  const found = text.match(/[ '٬.,٫]/g) ?? []
  const last = found.at(-1)
  if (last === undefined) return { groups: [text], fraction: "", mark: "" }
  const [before, after] = [text.slice(0, text.lastIndexOf(last)), text.slice(text.lastIndexOf(last) + 1)]
  const kinds = new Set(found.slice(0, -1))
  let isDecimal: boolean
  if (kinds.has(last) || " '٬".includes(last)) isDecimal = false
  else if (last === "٫") isDecimal = true
  // Group separators before it decide, unless three digits after it could be one more group.
  else if (kinds.size > 0) isDecimal = kinds.has(".") || kinds.has(",") || after.length !== 3 || !canGroup(last, separators)
  else isDecimal = isDecimalMark(last, before, after, separators)
  const groups = isDecimal ? before : text
  const groupMark = [...(isDecimal ? kinds : new Set(found))]
  if (groupMark.length > 1) throw new AmountRejection("grouping")
  return {
    groups: groupMark[0] === undefined ? [groups] : groups.split(groupMark[0]),
    fraction: isDecimal ? after : "",
    mark: groupMark[0] ?? "",
  }
}

/** Whether a mark can stand between groups of digits. A comma always can, unless decimals follow it. */
const canGroup = (mark: string, { group, decimal }: NumberSeparators): boolean => mark !== decimal && (mark === "," || mark === group)

/** Whether the only mark of a number stands before decimals. */
function isDecimalMark(mark: string, before: string, after: string, separators: NumberSeparators): boolean {
  if (mark === separators.decimal) return true
  const isZero = /^0+$/.test(before)
  const isGroupMark = canGroup(mark, separators) && after.length === 3 && /^[1-9]\d{0,2}$/.test(before)
  if (mark === ".") return !isGroupMark
  return before !== "" && (after.length === 1 || after.length === 2 || (isZero && after !== ""))
}

/** Whether digits are grouped as in 1,234,567 or, except by points, as in 12,34,567. */
function isGrouped(groups: string[], mark: string): boolean {
  const [first = "", ...middle] = groups
  const last = middle.pop() ?? ""
  const isWesternGrouping = first.length <= 3 && middle.every((group) => group.length === 3)
  const isIndianGrouping = mark !== "." && first.length <= 2 && middle.every((group) => group.length === 2)
  return /^[1-9]/.test(first) && last.length === 3 && (isWesternGrouping || isIndianGrouping)
}

/** The number in the plan's unit. `power`: of ten, if the amount names its own unit. */
function convertToUnit({ digits, exponent }: Decimal, power: number | null, unit: number): number {
  let shift = exponent
  let divisor = 1
  if (power !== null) {
    // Of a unit that is not a power of ten, only the rest is divided.
    const [mantissa = "", tens] = unit.toExponential().split("e")
    const fraction = mantissa.split(".")[1]?.length ?? 0
    divisor = Number(mantissa.replace(".", ""))
    shift += power - (Number(tens) - fraction)
  }
  const value = Number(`${digits}e${shift}`) / divisor
  if (!(value <= Number.MAX_SAFE_INTEGER)) throw new AmountRejection("tooLarge")
  if (value === 0 && /[1-9]/.test(digits)) throw new AmountRejection("tooSmall")
  return value
}

function messageOf(text: string, { kind, word }: AmountRejection, { currency }: AmountFormat): string {
  const quoted = `“${truncate(text)}”`
  switch (kind) {
    case "empty":
      return "The budget is empty."
    case "notANumber":
      return `${quoted} is not an amount. Enter a number, such as 12 or 8 lakh.`
    case "grouping":
      return `${quoted} is ambiguous. Enter the number without marks between groups of digits.`
    case "negative":
      return "A budget cannot be negative."
    case "tooLarge":
      return `The budget is too large: at most ${Number.MAX_SAFE_INTEGER.toLocaleString()} is accepted.`
    case "tooSmall":
      return "The budget is too small to be stored. Enter 0 or a larger number."
    case "otherCurrency":
      return `${quoted} is in ${word}, and this plan counts in ${currency}.`
    case "ambiguousUnit":
      return `“${truncate(word)}” is ambiguous. Write the unit in full: thousand, lakh, million, crore or billion.`
    case "unknownWord":
      return `${quoted} is not an amount: “${truncate(word)}” is neither a unit nor a currency.`
  }
}

/** Enough of a text to recognize it by. */
function truncate(text: string): string {
  const letters = [...text.trim()]
  return letters.length > 40 ? `${letters.slice(0, 40).join("")}…` : letters.join("")
}
