/** Tables in the clipboard. HTML is parsed by the browser and tested in `grid.spec.ts`. */
import { expect, it } from "vitest"
import { isImportTable, readClipboard, readTabSeparated, toClipboard, toTabSeparated } from "../../src/grid/clipboard"

const SCALE = { currency: "INR", unit: 100_000 }
const read = (text: string) => readClipboard({ text, html: "" }).rows

it("copied values are tab-separated and escaped", () => {
  const { text, html } = toClipboard(
    [
      ["=1+1", 12.5],
      ['a <b> & "c"', null],
    ],
    SCALE,
  )
  expect(text).toBe('\'=1+1\t12.5\na <b> & "c"\t')
  expect(html).toBe(
    '<table data-happierwork-scale="INR 100000"><tbody><tr><td>\'=1+1</td><td>12.5</td></tr><tr><td>a &lt;b&gt; &amp; &quot;c&quot;</td><td></td></tr></tbody></table>',
  )
})

it("texts with tabs, line breaks and quotes survive", () => {
  const rows = [
    ["Two\nlines", "a\tb", '"quoted" text'],
    ['say "hi"', "", "plain"],
  ]
  expect(read(toClipboard(rows, SCALE).text)).toEqual(rows)
  expect(readTabSeparated(toTabSeparated({ rows, scale: null }))).toEqual(rows)
})

it("tables of spreadsheets are read", () => {
  expect(read("a\tb\r\nc\td\r\n")).toEqual([
    ["a", "b"],
    ["c", "d"],
  ])
  expect(read("a\n\nb\n")).toEqual([["a"], [""], ["b"]])
  expect(read("a\tb\nc")).toEqual([
    ["a", "b"],
    ["c", ""],
  ])
  expect(read("one, two; three")).toEqual([["one, two; three"]])
  expect(read('5" pipe\tx')).toEqual([['5" pipe', "x"]])
  expect(read('"unclosed\tx')).toEqual([['"unclosed', "x"]])
  expect(read("")).toEqual([])
})

it("a table with a header is imported", () => {
  const table = (...rows: string[][]) => ({ rows, scale: null })
  expect(isImportTable(table(["Job title", "Budget"], ["Cook", "3"]))).toBe(true)
  expect(isImportTable(table(["Job title"], ["Cook"]))).toBe(false)
  expect(isImportTable(table(["Job title", "Budget"]))).toBe(false)
  expect(isImportTable(table(["Cook", "3"], ["Waiter", "4"]))).toBe(false)
})
