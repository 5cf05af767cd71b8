/** Export of positions as a workbook (`.xlsx`) with real numbers and dates. Texts are texts: no cell is a formula. */
import type { CellValue, ColumnDef, WriteSheet } from "hucre"
import { writeXlsx } from "hucre/xlsx"
import { isDate } from "../date"
import { choicesOf, FIELD_DEFINITIONS, type FieldKey, fieldLabel, GROUP_FIELDS, type OwnColumn } from "../fields"
import { unitName } from "../format"
import { isMonth } from "../month"
import { countUnknownBudgets, groupTotals, sumBudgets } from "../query"
import { type Position, type Settings, shownValue } from "../schema"
import { calculatedColumns } from "./calculated"
import { currencyText, decimalsOf, moneyFormat } from "./number-format"
import { type ExportTable, extraColumns, extraHead, MAX_CELL_TEXT, ownHead } from "./table"

const POSITIONS_SHEET = "Positions"
const PLAN_SHEET = "Plan"
const MONTH = "mmm yyyy"
const DATE = "yyyy-mm-dd"
const DATE_TIME = "yyyy-mm-dd hh:mm"
/** Width of a column of texts, in characters. */
const TEXT_WIDTH = 24
/** Widths of columns by the share that the page gives them. */
const WIDTH_PER_SHARE = 13

/** A column of the sheet: its definition and its values. */
interface SheetColumn {
  definition: ColumnDef & { header: string }
  value: (position: Position) => CellValue
}

export function toWorkbook(table: ExportTable, settings: Settings): Promise<Uint8Array> {
  return writeXlsx({ sheets: [positionsSheet(table, settings), planSheet(table, settings)] })
}

/** In a workbook, `_x0041_` is a way to write A. */
const ESCAPE = /_x(?=[0-9A-Fa-f]{4}_)/g
const asText = (text: string): string => text.slice(0, MAX_CELL_TEXT).replace(ESCAPE, "_x005F_x")
const asDate = (at: number | null): CellValue => (at === null || at < 0 || at > 253_402_300_799_999 ? null : new Date(at))

function positionsSheet(table: ExportTable, settings: Settings): WriteSheet {
  const columns = [
    { definition: { header: "id", width: 16 }, value: ({ id }: Position) => asText(id) },
    ...FIELD_DEFINITIONS.map((field): SheetColumn => fieldColumn(field, table, settings)),
    ...table.own.map((column): SheetColumn => ownColumn(column, ownHead(column, table.own))),
    { definition: { header: "Updated by", width: 18 }, value: ({ updatedBy }: Position) => asText(updatedBy) },
    { definition: { header: "Updated", width: 17, numFmt: DATE_TIME }, value: ({ updatedAt }: Position) => asDate(updatedAt) },
    { definition: { header: "Created", width: 17, numFmt: DATE_TIME }, value: ({ createdAt }: Position) => asDate(createdAt) },
    ...calculatedColumns(table).map((column): SheetColumn => {
      const { kind, name, read } = column
      if (kind === "text") return { definition: { header: name, width: 18 }, value: (position) => asText(read(position)) }
      if (kind === "time")
        return { definition: { header: name, width: 17, numFmt: DATE_TIME }, value: (position) => asDate(read(position)) }
      const numFmt = moneyFormat(settings, decimalsOf(table.positions.map(read)))
      return { definition: { header: name, width: 24, numFmt }, value: read }
    }),
    ...extraColumns(table).map(
      (key): SheetColumn => ({
        definition: { header: extraHead(key, table.own), width: TEXT_WIDTH },
        value: ({ id }) => {
          const value = table.extras.get(id)?.[key]
          return typeof value === "string" ? asText(value) : (value ?? null)
        },
      }),
    ),
  ]
  const rows = table.positions.map((position) => columns.map(({ value }) => value(position)))
  return {
    name: POSITIONS_SHEET,
    columns: columns.map(({ definition: { header: _, ...definition } }) => definition),
    rows: [columns.map(({ definition }) => definition.header), ...rows],
    rowDefs: new Map(),
    cells: new Map(columns.map(({ definition }, at) => [`0,${at}`, { value: definition.header, type: "string", style: HEAD_STYLE }])),
    freezePane: { rows: 1 },
    autoFilter: { range: `A1:${columnLetter(columns.length - 1)}${rows.length + 1}` },
  }
}

const HEAD_STYLE = { font: { bold: true }, numFmt: "General" } as const

function fieldColumn(field: (typeof FIELD_DEFINITIONS)[number], { positions }: ExportTable, settings: Settings): SheetColumn {
  const { key, label, kind, width } = field as { key: FieldKey; label: string; kind: string; width: number }
  const value = (position: Position): CellValue => {
    const shown = shownValue(position, key)
    return typeof shown === "string" ? asText(shown) : shown
  }
  if (kind === "month")
    return {
      definition: { header: label, width: 12, numFmt: MONTH },
      value: (position) => {
        const shown = shownValue(position, key)
        return typeof shown === "string" && isMonth(shown) ? new Date(`${shown}-01T00:00:00Z`) : value(position)
      },
    }
  if (kind === "choice")
    return {
      definition: { header: label, width: 14 },
      value: (position) => choicesOf(key).find((choice) => choice.value === position[key])?.label ?? value(position),
    }
  if (kind !== "amount") return { definition: { header: label, width: Math.round(width * WIDTH_PER_SHARE) }, value }
  const amounts = positions.map((position) => shownValue(position, key))
  return {
    definition: { header: amountHead(label, settings), width: 20, numFmt: moneyFormat(settings, decimalsOf(amounts)) },
    value,
  }
}

/** A column of the plan. Values of another type than the column's are texts. */
function ownColumn({ key, kind }: OwnColumn, header: string): SheetColumn {
  const value = (position: Position): CellValue => {
    const shown = shownValue(position, key)
    if (typeof shown !== "string") return shown
    return kind === "date" && isDate(shown) ? new Date(`${shown}T00:00:00Z`) : asText(shown)
  }
  return { definition: { header, ...(kind === "date" ? { width: 12, numFmt: DATE } : { width: TEXT_WIDTH }) }, value }
}

/** The head names currency and unit, so that an import into a plan with another unit converts the amounts. */
export function amountHead(label: string, { currency, unit }: Settings): string {
  return `${label} (${[currency, unitName(unit)].filter(Boolean).join(" ")})`
}

/** The settings of the plan, and sums. */
function planSheet(table: ExportTable, settings: Settings): WriteSheet {
  const { positions, total, scope, at } = table
  const budgets = positions.map(({ budget }) => budget)
  const rows: CellValue[][] = []
  const cells = new Map<string, { value: CellValue; style: { numFmt?: string; font?: { bold: boolean } } }>()
  const money = moneyFormat(settings, decimalsOf([...budgets, settings.totalBudget]))
  const row = (name: string, value: CellValue, numFmt?: string) => {
    if (numFmt) cells.set(`${rows.length},1`, { value, style: { numFmt } })
    rows.push([name, value])
  }
  const heading = (...names: string[]) => {
    for (const [column, name] of names.entries()) cells.set(`${rows.length},${column}`, { value: name, style: { font: { bold: true } } })
    rows.push(names)
  }
  heading("Plan")
  row("Name", asText(settings.name))
  row("Currency", settings.currency)
  row("Unit", unitName(settings.unit) || "single")
  row("Currency units per unit", settings.unit)
  row("Total budget", settings.totalBudget, money)
  row("First month of the year", settings.yearStart === null ? null : new Date(`${settings.yearStart}-01T00:00:00Z`), MONTH)
  rows.push([])
  heading("Export")
  row("Positions", scope)
  row("Number of positions", positions.length)
  row("Positions in the plan", total)
  row("Sum of budgets", sumBudgets(positions), money)
  row("Unknown budgets", countUnknownBudgets(positions))
  row("Exported", asDate(at), DATE_TIME)
  const shortened = countShortened(table)
  if (shortened > 0) row(`Texts shortened to ${MAX_CELL_TEXT.toLocaleString()} characters`, shortened)
  for (const field of GROUP_FIELDS) {
    rows.push([])
    heading(fieldLabel(field), `Budget (${currencyText(settings)})`, "Positions")
    for (const { name, budget, count } of groupTotals(positions, field)) {
      cells.set(`${rows.length},1`, { value: budget, style: { numFmt: money } })
      rows.push([asText(name) || "(none)", budget, count])
    }
  }
  return { name: PLAN_SHEET, columns: [{ width: 28 }, { width: 24 }, { width: 12 }], rows, cells }
}

/** Number of texts that do not fit into a cell. */
function countShortened({ positions, own, extras }: ExportTable): number {
  const texts = positions.flatMap((position): unknown[] => [
    ...[...FIELD_DEFINITIONS, ...own].map(({ key }) => shownValue(position, key)),
    ...Object.values(extras.get(position.id) ?? {}),
  ])
  return texts.filter((text) => typeof text === "string" && text.length > MAX_CELL_TEXT).length
}

function columnLetter(at: number): string {
  return at < 26 ? String.fromCharCode(65 + at) : columnLetter(Math.floor(at / 26) - 1) + columnLetter(at % 26)
}
