/** Columns of choices and months, which are judged by their values: many tables have other things under the same names. */

import { type DateOrder, dateOrderOf } from "../calendar"
import { parseChoice } from "../choice"
import {
  type ColumnKey,
  choicesOf,
  FIELDS,
  type Field,
  fieldNoun,
  isChoiceField,
  isMonthField,
  keyOf,
  kindOf,
  type OwnColumn,
} from "../fields"
import { parseMonth } from "../month"
import { isBlank } from "../text"
import type { Header } from "./header"

/**
 * Removes columns of choices and months in which no cell is valid, and notes why. A column with at least one valid cell stays; its other
 * cells are refused line by line. Columns of the plan stay: their names are chosen by its people.
 */
export function dropForeignColumns(header: Header, rows: readonly string[][]): Header {
  const columns = { ...header.columns }
  const [ignored, notes] = [[...header.ignored], [...header.notes]]
  for (const field of FIELDS) {
    const column = columns[field]
    if (!column || !(isChoiceField(field) || isMonthField(field))) continue
    const cells = cellsOf(rows, column.at)
    const isValid = (cell: string) =>
      isMonthField(field)
        ? ["day", "month"].some((order) => "value" in parseMonth(cell, order as DateOrder))
        : "value" in parseChoice(field, cell)
    if (cells.length === 0 || cells.some(isValid)) continue
    delete columns[field]
    ignored.push(column.head)
    const labels = choicesOf(field).map(({ label }) => label)
    const expected = isMonthField(field) ? "a month or a date" : `one of ${labels.join(", ")}`
    notes.push(`“${column.head}” is not imported as the ${fieldNoun(field)}: none of its values is ${expected}.`)
  }
  return { ...header, columns, ignored, notes }
}

const hasDates = (field: Field): boolean => isMonthField(field) || kindOf(field) === "date"

/** The order of day and month in each column of months or dates, where its dates show one and the same. */
export function dateOrdersOf(
  { columns }: Header,
  rows: readonly string[][],
  own: readonly OwnColumn[] = [],
): Partial<Record<ColumnKey, DateOrder>> {
  const found: Partial<Record<ColumnKey, DateOrder>> = {}
  for (const key of [...FIELDS, ...own].filter(hasDates).map(keyOf)) {
    const column = columns[key]
    const orders = new Set(
      column
        ? cellsOf(rows, column.at)
            .map(dateOrderOf)
            .filter((order) => order !== null)
        : [],
    )
    const [order] = orders
    if (orders.size === 1 && order) found[key] = order
  }
  return found
}

const cellsOf = (rows: readonly string[][], at: number): string[] =>
  rows.map((row) => row[at] ?? "").filter((cell) => !isBlank(cell) && cell.trim() !== "-")
