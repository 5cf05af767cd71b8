/**
 * Parses an amount of money as people type, paste and import it: `12.5`, `₹ 8 lakh`, `1.234,56 €`, `50000/-`.
 *
 * An amount is parsed exactly or rejected with a reason; nothing is guessed. The server uses the same grammar. `docs/amounts.md` lists
 * examples of accepted and rejected amounts.
 */
import { codesOf } from "./currencies"
import { truncate } from "./text"

/** The group separator and the decimal separator of a number. */
export interface NumberSeparators {
  group: string
  decimal: string
}

/** Separators of machine-written numbers. */
export const CANONICAL_SEPARATORS: NumberSeparators = { group: ",", decimal: "." }

/** The separators of a language, by default of the browser's. */
export function separatorsOf(language?: string): NumberSeparators {
  const mark = (type: "group" | "decimal", format: Intl.NumberFormat) =>
    format.formatToParts(1_234_567.8).find((part) => part.type === type)?.value ?? ""
  const numbers = new Intl.NumberFormat(language)
  // Austria groups plain numbers by spaces and money by points.
  const money = mark("group", new Intl.NumberFormat(language, { style: "currency", currency: "EUR" }))
  return { group: money === "." ? money : mark("group", numbers), decimal: mark("decimal", numbers) }
}

/** The separators of the browser's language. */
export const LOCALE_SEPARATORS = separatorsOf()

/** Context for parsing an amount. */
export interface AmountFormat {
  /** Defaults to the separators of the browser's language. */
  separators?: NumberSeparators
  /** Currency code of the plan. Without one, an amount may name any currency. */
  currency?: string
  /** Currency units per unit of the plan, such as 100,000 for lakh. */
  unit: number
}

/** A number in units of the plan, or a message for the user. */
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

/** Power of ten of each unit word. */
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
/** Abbreviations without a single meaning. */
const AMBIGUOUS = new Set(["k", "t", "m", "mm", "mn", "mil", "mio", "mln", "b", "bn", "mrd", "tn"])

/** Invisible characters that formatters and web pages insert. */
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g
const OUTER_SPACE =
  /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g
const SPACES = /[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+/g
const DASHES = /[\u2010-\u2015\u2212\ufe63\uff0d]/g
/** Zero of each supported script: Arabic, Indic and full-width digits. Nine more digits follow each zero. */
const ZEROS = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xff10]
const FOREIGN_DIGIT =
  /[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\uff10-\uff19]/g

const asciiDigit = (digit: string): string => {
  const code = digit.charCodeAt(0)
  return String(code - (ZEROS.find((zero) => zero <= code && code < zero + 10) ?? code))
}

/** Collapses spaces and maps variants of dashes, apostrophes, plus signs and digits to ASCII. */
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

/** Whether a text contains no amount: empty, white space, or a single dash as in an empty table cell. */
export const isBlankAmount = (text: string): boolean => isBlank(normalize(text))

/** Thrown and caught inside this file only. */
class AmountRejection {
  constructor(
    readonly kind: AmountError,
    /** The word or currency that caused the rejection. */
    readonly word = "",
  ) {}
}

/** Parses an amount. */
export function parseAmount(text: string, format: AmountFormat): ParsedAmount {
  const result = parseOrReject(text, format)
  return result instanceof AmountRejection ? { problem: messageOf(text, result, format) } : { value: result }
}

/** Parses a number without unit and currency. It may be negative. */
export function parseNumber(text: string, separators: NumberSeparators = LOCALE_SEPARATORS): ParsedAmount {
  const read = (): number | AmountRejection => {
    const { isNegative, currencies, number, power } = splitParts(normalize(text))
    if (currencies.length > 0 || power !== null) return new AmountRejection("notANumber")
    const value = convertToUnit(parseDecimal(number, separators), null, 1)
    return isNegative && value !== 0 ? -value : value
  }
  const result = orRejected(read)
  if (!(result instanceof AmountRejection)) return { value: result }
  const quoted = `“${truncate(text)}”`
  if (result.kind === "grouping") return { problem: messageOf(text, result, { unit: 1 }) }
  if (result.kind === "tooLarge") return { problem: `${quoted} is too large. The maximum is ${Number.MAX_SAFE_INTEGER.toLocaleString()}.` }
  return { problem: result.kind === "tooSmall" ? `${quoted} is too small to be stored.` : `${quoted} is not a number.` }
}

/** Why an amount is rejected; `null` if it is valid. */
export function amountErrorOf(text: string, format: AmountFormat): AmountError | null {
  const result = parseOrReject(text, format)
  return result instanceof AmountRejection ? result.kind : null
}

const parseOrReject = (text: string, format: AmountFormat): number | AmountRejection =>
  orRejected(() => {
    const cleaned = normalize(text)
    if (isBlank(cleaned)) return new AmountRejection("empty")
    const { isNegative, currencies, number, power } = splitParts(cleaned)
    const decimal = parseDecimal(number, format.separators ?? LOCALE_SEPARATORS)
    for (const word of currencies) assertCurrency(word, format.currency)
    const value = convertToUnit(decimal, power, format.unit)
    return isNegative ? new AmountRejection("negative") : value
  })

/** The parts of a text that is written like an amount; `null` for other texts. */
function partsOrNull(text: string): Parts | null {
  const parts = orRejected(() => splitParts(normalize(text)))
  return parts instanceof AmountRejection ? null : parts
}

/** The result of a function, or the rejection that it has thrown. */
function orRejected<T>(read: () => T): T | AmountRejection {
  try {
    return read()
  } catch (refused) {
    if (refused instanceof AmountRejection) return refused
    throw refused
  }
}

/** The unit that an amount names, such as 100,000 for `8 lakh`; `null` if it names none. */
export function namedUnit(text: string): number | null {
  const power = partsOrNull(text)?.power ?? null
  return power === null ? null : 10 ** power
}

/** Whether an amount names a unit or a currency. */
export function namesUnitOrCurrency(text: string): boolean {
  const parts = partsOrNull(text)
  return parts !== null && (parts.power !== null || parts.currencies.length > 0)
}

interface Parts {
  isNegative: boolean
  /** As written in the text. */
  currencies: string[]
  /** Digits and separators. */
  number: string
  /** Power of ten of the unit word; `null` if there is none. */
  power: number | null
}

/** Splits a normalized text into sign, currencies, number and unit word. */
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
    // Some accounting programs write the sign last.
    sign(true)
    body = body.slice(0, -1).trim()
  }
  const first = body.search(/\d/)
  if (first < 0) throw new AmountRejection("notANumber")
  // A separator directly before the first digit belongs to the number, unless it ends an abbreviation as in `Rs.50`.
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
  const unknown = currencies.find((word) => codesOf(withoutFinalPoint(word)) === null && !/^\p{Alphabetic}/u.test(word))
  if (unknown !== undefined) throw new AmountRejection("notANumber")
  const number = /^[.,٫]?\d+(?:[ '٬.,٫]+\d+)*[.,]?(?:[eE][-+]?\d+)?/.exec(body.slice(start))?.[0] ?? ""
  const suffix = body.slice(start + number.length)
  if (/\d/.test(suffix)) throw new AmountRejection("notANumber")
  const power = parseSuffix(suffix, currencies)
  return { isNegative, currencies: currencies.map(withoutFinalPoint), number, power }
}

/** Parses unit word, currency and `/-` after a number. Adds the currency to the list and returns the power of ten of the unit. */
function parseSuffix(suffix: string, currencies: string[]): number | null {
  const words = suffix.match(/\/-|[^ /]+|\//g) ?? []
  let power: number | null = null
  let hasStroke = false
  let hasCurrency = false
  for (const word of words) {
    const bare = withoutFinalPoint(word)
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

const withoutFinalPoint = (word: string): string => word.replace(/\.$/, "")

/** Rejects a word that is not the currency of the plan. */
function assertCurrency(word: string, currency: string | undefined) {
  const named = codesOf(word)
  const planCurrency = currency?.trim() ?? ""
  if (planCurrency === "") {
    // Without a plan currency, lower-case words such as `top` in `top 5` are not taken for currency codes.
    if (named === null || (/^[a-z]{3}$/.test(word) && named[0]?.toLowerCase() === word)) throw new AmountRejection("unknownWord", word)
    return
  }
  if (word.toUpperCase() === planCurrency.toUpperCase()) return
  if (named === null) throw new AmountRejection("unknownWord", word)
  const codes = codesOf(planCurrency) ?? [planCurrency.toUpperCase()]
  if (!named.some((code) => codes.includes(code))) throw new AmountRejection("otherCurrency", named.length === 1 ? named[0] : word)
}

/** A number as an integer and a power of ten, so that unit conversion does not round. */
interface Decimal {
  digits: string
  exponent: number
}

function parseDecimal(number: string, separators: NumberSeparators): Decimal {
  const [mantissa = "", exponent] = number.split(/[eE]/)
  const { groups, fraction, mark } = splitNumber(mantissa, separators)
  if (groups.length > 1 && (!isGrouped(groups, mark) || exponent !== undefined)) throw new AmountRejection("grouping")
  // No mantissa is long enough to offset an exponent beyond this limit.
  const power = Math.max(-1e9, Math.min(1e9, Number(exponent ?? 0)))
  return { digits: groups.join("") + fraction, exponent: power - fraction.length }
}

/** Finds the decimal separator and the digit groups before it. */
function splitNumber(text: string, separators: NumberSeparators): { groups: string[]; fraction: string; mark: string } {
  const found = text.match(/[ '٬.,٫]/g) ?? []
  const last = found.at(-1)
  if (last === undefined) return { groups: [text], fraction: "", mark: "" }
  const [before, after] = [text.slice(0, text.lastIndexOf(last)), text.slice(text.lastIndexOf(last) + 1)]
  const kinds = new Set(found.slice(0, -1))
  let isDecimal: boolean
  if (kinds.has(last) || " '٬".includes(last)) isDecimal = false
  else if (last === "٫") isDecimal = true
  // Earlier separators show that this one is decimal, unless the three digits after it could be another group.
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

/** Whether a character can separate digit groups. A comma can in every language that does not use it as the decimal separator. */
const canGroup = (mark: string, { group, decimal }: NumberSeparators): boolean => mark !== decimal && (mark === "," || mark === group)

/** Whether the only separator of a number is the decimal separator. */
function isDecimalMark(mark: string, before: string, after: string, separators: NumberSeparators): boolean {
  if (mark === separators.decimal) return true
  const isZero = /^0+$/.test(before)
  const isGroupMark = canGroup(mark, separators) && after.length === 3 && /^[1-9]\d{0,2}$/.test(before)
  if (mark === ".") return !isGroupMark
  return before !== "" && (after.length === 1 || after.length === 2 || (isZero && after !== ""))
}

/** Whether digits are grouped as in 1,234,567 or 12,34,567. Groups separated by points must be of the first kind. */
function isGrouped(groups: string[], mark: string): boolean {
  const [first = "", ...middle] = groups
  const last = middle.pop() ?? ""
  const isWesternGrouping = first.length <= 3 && middle.every((group) => group.length === 3)
  const isIndianGrouping = mark !== "." && first.length <= 2 && middle.every((group) => group.length === 2)
  return /^[1-9]/.test(first) && last.length === 3 && (isWesternGrouping || isIndianGrouping)
}

/** Converts a number to the unit of the plan. `power`: power of ten of the unit that the amount names. */
function convertToUnit({ digits, exponent }: Decimal, power: number | null, unit: number): number {
  let shift = exponent
  let divisor = 1
  if (power !== null) {
    // Powers of ten are shifted exactly; only the remaining factor is divided.
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
      return `${quoted} is ambiguous. Enter the number without group separators.`
    case "negative":
      return "A budget cannot be negative."
    case "tooLarge":
      return `The budget is too large. The maximum is ${Number.MAX_SAFE_INTEGER.toLocaleString()}.`
    case "tooSmall":
      return "The budget is too small to be stored. Enter 0 or a larger number."
    case "otherCurrency":
      return `${quoted} is in ${word}, but this plan is in ${currency}.`
    case "ambiguousUnit":
      return `“${truncate(word)}” is ambiguous. Write the unit in full: thousand, lakh, million, crore or billion.`
    case "unknownWord":
      return `${quoted} is not an amount: “${truncate(word)}” is neither a unit nor a currency.`
  }
}
