/**
 * Escapes formulas in CSV cells (CSV injection).
 *
 * A spreadsheet may split a file at a different separator and ignores quotation marks inside a cell. A formula can therefore start at the
 * beginning of a text and after each semicolon, tab, bar and line break. An apostrophe is inserted before each formula; reading removes
 * exactly these apostrophes. The server applies the same rules; both are tested with `tests/fixtures/csv-guard.json`.
 */

/** A formula, optionally after apostrophes, quotation marks and spaces. */
const FORMULA = String.raw`['" \u00a0\u3000]*[=+\-@＝＋－＠]`
/** At the start of a cell, spreadsheets also skip tabs and line breaks. */
const AT_START = String.raw`['" \u00a0\u3000]*[=+\-@＝＋－＠\t\r\n]`
const AFTER_SEPARATOR = String.raw`(?<=[;\t|\r\n])`

const UNESCAPED = new RegExp(`^(?=${AT_START})|${AFTER_SEPARATOR}(?=${FORMULA})`, "g")
const ESCAPED = new RegExp(`^'(?=${AT_START})|${AFTER_SEPARATOR}'(?=${FORMULA})`, "g")

/** Inserts an apostrophe before each formula. */
export const escapeFormulas = (text: string): string => text.replace(UNESCAPED, "'")

/** Reverses {@link escapeFormulas}. */
export const unescapeFormulas = (cell: string): string => cell.replace(ESCAPED, "")

/** Whether a cell needs quotation marks: it contains a separator or a quote, or starts or ends with a space. */
export const needsQuotes = (cell: string): boolean => /[,;\t|"\r\n]|^ | $/.test(cell)
