/**
 * Texts in tables that no spreadsheet runs as a formula.
 *
 * A spreadsheet may split a file at another separator than the one it was written with, and ignores quotation marks that are
 * not at the ends of a cell. So a formula can begin at the start of a text, and after each semicolon, tab, bar and line break
 * in it. An apostrophe goes in front of each. Reading takes exactly those apostrophes off again. The server has the same rule;
 * `tests/fixtures/csv-guard.json` holds both together.
 */

/** A formula, perhaps behind apostrophes, quotation marks and spaces. */
const FORMULA = String.raw`['" \u00a0\u3000]*[=+\-@＝＋－＠]`
/** Spreadsheets also skip tabs and line breaks at the start. */
const AT_START = String.raw`['" \u00a0\u3000]*[=+\-@＝＋－＠\t\r\n]`
const INNER = String.raw`(?<=[;\t|\r\n])`

const UNGUARDED = new RegExp(`^(?=${AT_START})|${INNER}(?=${FORMULA})`, "g")
const GUARDED = new RegExp(`^'(?=${AT_START})|${INNER}'(?=${FORMULA})`, "g")

/** The text with an apostrophe in front of everything that could run as a formula. */
export const escapeFormulas = (text: string): string => text.replace(UNGUARDED, "'")

/** The text that {@link escapeFormulas} was given. */
export const unescapeFormulas = (cell: string): string => cell.replace(GUARDED, "")

/** Whether a cell is written in quotation marks: it holds a separator that some reader splits at, a quote, or outer spaces. */
export const needsQuotes = (cell: string): boolean => /[,;\t|"\r\n]|^ | $/.test(cell)
