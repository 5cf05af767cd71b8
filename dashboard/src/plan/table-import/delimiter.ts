/** Splits a text into rows and cells with the most plausible separator. */
import Papa from "papaparse"
import type { AmountFormat } from "../amount"
import { findHeader, widthOf } from "./header"
import { fitsDefaultColumns } from "./headerless"

export interface Cells {
  rows: string[][]
  delimiter: string
  /** Number of lines before the first row that only name the separator. */
  lineOffset: number
  /** Why the text cannot be split; `null` if it can. */
  problem: string | null
}

/** In order of preference: commas also appear in numbers and sentences. */
const DELIMITERS = ["\t", ";", "|", ","] as const
/** Number of rows to compare. */
const SAMPLE = 200
/** First line in which some programs name the separator. */
const SEP_LINE = /^"?sep=([^\p{L}\p{N}"\r\n])"?[ \t]*(\r\n|\r|\n|$)/iu

/** Splits the text at the separator of a `sep=` line, or else at the separator with the most recognized columns. */
export function splitCells(text: string, format: AmountFormat): Cells {
  const named = SEP_LINE.exec(text)
  const content = named ? text.slice(named[0].length) : text
  const delimiter = named?.[1] ?? chooseDelimiter(content, format)
  const { rows, errors } = parse(content, delimiter)
  const lineOffset = named ? 1 : 0
  const error = errors.find(({ type }) => type === "Quotes")
  return { rows, delimiter, lineOffset, problem: error ? problemOf(error, lineOffset) : null }
}

function problemOf({ code, row }: Papa.ParseError, lineOffset: number): string {
  const line = `Line ${(row ?? 0) + 1 + lineOffset}`
  return code === "MissingQuotes"
    ? `${line} has a quotation mark that is never closed.`
    : `${line} has a quotation mark in the middle of a cell. Write it twice, or remove it.`
}

function parse(text: string, delimiter: string, preview = 0): { rows: string[][]; errors: Papa.ParseError[] } {
  const read = (quoteChar: string) => Papa.parse<string[]>(text, { skipEmptyLines: false, delimiter, quoteChar, preview })
  let parsed = read('"')
  // Some programs separate cells by tabs without quoting them.
  if (delimiter === "\t" && parsed.errors.some(({ type }) => type === "Quotes")) parsed = read("\0")
  // Line endings can differ within a file.
  const rows = parsed.data.map((row) => (row.at(-1)?.endsWith("\r") ? [...row.slice(0, -1), row.at(-1)?.slice(0, -1) ?? ""] : row))
  return { rows, errors: parsed.errors }
}

interface Score {
  delimiter: string
  /** Number of fields that the header names. */
  fields: number
  /** Share of rows that fit the header, or the default columns without one. Halved for unbalanced quotation marks. */
  fit: number
}

function chooseDelimiter(text: string, format: AmountFormat): string {
  const [first, ...others] = DELIMITERS.map((delimiter) => score(text, delimiter, format))
  const better = (best: Score, other: Score) => other.fields - best.fields || other.fit - best.fit
  return others.reduce((best, other) => (better(best, other) > 0 ? other : best), first as Score).delimiter
}

function score(text: string, delimiter: string, format: AmountFormat): Score {
  const { rows, errors } = parse(text, delimiter, SAMPLE)
  const header = findHeader(rows)
  const body = rows.slice(header ? header.row + 1 : 0).filter((row) => widthOf(row) > 0)
  // A table without a header has several columns; otherwise it is a list of designations.
  const fitting = body.filter((row) => (header ? widthOf(row) <= header.width : widthOf(row) > 1 && fitsDefaultColumns(row, format))).length
  const fit = body.length === 0 ? 1 : fitting / body.length
  return {
    delimiter,
    fields: header ? Object.keys(header.columns).length : 0,
    fit: errors.some(({ type }) => type === "Quotes") ? fit / 2 : fit,
  }
}
