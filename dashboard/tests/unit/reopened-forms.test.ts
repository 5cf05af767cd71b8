/** What is saved from a form that was opened again after a reload. */
import { decodeHeads } from "@automerge/automerge-repo/slim"
import { beforeEach, describe, expect, it, vi } from "vitest"
import { readDepartmentBudgets, setDepartmentBudgets } from "../../src/plan/department-budgets"
import { updateSettings } from "../../src/plan/edit"
import { containsHeads } from "../../src/plan/heads"
import { addColumn, type ColumnInput, readColumns, setColumn } from "../../src/plan/own-columns"
import { readSettingsState } from "../../src/plan/schema"
import { formDrafts } from "../../src/sync/form-drafts"
import { reopenForms } from "../../src/ui/reopened-forms"
import { changedTexts } from "../../src/ui/settings-form"
import { type Copy, createCopies } from "./support/copy"
import { fakeStorage } from "./support/storage"

const PLAN = "4NMNnkMhL8jXrdJ9jamS58PAVdXu"

beforeEach(() => vi.stubGlobal("sessionStorage", fakeStorage()))

/** What a plan reads from a copy of its document. */
const planOf = (copy: Copy) => ({
  contains: (heads: Parameters<typeof decodeHeads>[0]) => containsHeads(copy.doc(), decodeHeads(heads)),
  readSettings: () => ({ ...readSettingsState(copy.doc()), heads: copy.heads() }),
  readDepartmentBudgets: () => ({ budgets: readDepartmentBudgets(copy.doc()), heads: copy.heads() }),
  readColumn: (key: string | null) => ({
    column: readColumns(copy.doc()).find((column) => column.key === key) ?? null,
    heads: copy.heads(),
  }),
})

/** The form that is opened again, with its kind. */
function reopen<K extends string>(copy: Copy, kind: K) {
  const { open, dialog } = reopenForms(formDrafts("cfo", PLAN), planOf(copy), true)
  const found = [open, dialog].find((other) => other?.kind === kind)
  if (!found) throw new Error(`${kind} is not open`)
  return found as Extract<NonNullable<typeof open | typeof dialog>, { kind: K }>
}

describe("settings", () => {
  /** The CFO types a total budget; the CEO saves a name and another total budget; the CFO reloads. */
  function setup() {
    const { ours } = createCopies()
    updateSettings(ours, { name: "Growth", totalBudget: 5 }, "CEO")
    const before = planOf(ours).readSettings()
    const typed = changedTexts(before.settings, [
      ["name", "Growth"],
      ["total", "7"],
      ["currency", "INR"],
      ["unit", String(before.settings.unit)],
      ["yearStart", ""],
    ])
    formDrafts("cfo", PLAN).save("settings", { opened: before, typed })
    const theirs = ours.fork()
    updateSettings(theirs, { name: "Growth 2028", totalBudget: 6 }, "CEO")
    ours.merge(theirs)
    return { ours, before, typed }
  }

  it("only what the user has changed is kept", () => {
    expect(setup().typed).toEqual({ total: "7" })
    expect(changedTexts(readSettingsState(createCopies().ours.doc()).settings, [["name", ""]])).toBeNull()
  })

  it("what others saved meanwhile becomes a conflict", () => {
    const { ours, before } = setup()
    const { before: reopened } = reopen(ours, "settings")
    expect(reopened).toEqual(before)
    expect(updateSettings(ours, { totalBudget: 7 }, "CFO", reopened)).toBe(true)
    const { settings, conflicts } = readSettingsState(ours.doc())
    expect(settings.name).toBe("Growth 2028")
    expect([settings.totalBudget, conflicts?.totalBudget?.losing[0]?.value].sort()).toEqual([6, 7])
  })

  it("a copy without the changes that the user saw shows its own values", () => {
    setup()
    // After a crash, the local copy is older.
    const { ours: older } = createCopies()
    updateSettings(older, { name: "Older" }, "CEO")
    expect(reopen(older, "settings").before).toEqual(planOf(older).readSettings())
  })

  it("a draft of an earlier version is opened with the current values", () => {
    const { ours } = createCopies()
    formDrafts("cfo", PLAN).save("settings", { opened: undefined, typed: { total: "7" } })
    expect(reopen(ours, "settings").before).toEqual(planOf(ours).readSettings())
    sessionStorage.setItem(Object.keys(sessionStorage)[0] ?? "", JSON.stringify({ total: "7" }))
    expect(reopenForms(formDrafts("cfo", PLAN), planOf(ours), true).open).toBeNull()
  })
})

it("a budget of a department that others changed meanwhile becomes a conflict", () => {
  const { ours } = createCopies()
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 5 }], "CEO", null)
  const before = planOf(ours).readDepartmentBudgets()
  formDrafts("cfo", PLAN).save("budgets", { opened: before, typed: { texts: [["Sales", "7"]], added: { name: "", text: "" } } })
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 6 }], "CEO", null)
  const reopened = reopen(ours, "budgets").before
  expect(reopened).toEqual(before)
  expect(setDepartmentBudgets(ours, [{ name: "Sales", amount: 7 }], "CFO", reopened.heads).isContested).toBe(true)
})

it("a column that others changed meanwhile becomes a conflict", () => {
  const { ours } = createCopies()
  const input: ColumnInput = { title: "Grade", type: "text", options: [] }
  const key = addColumn(ours, input, 8, "CEO")
  const before = planOf(ours).readColumn(key)
  formDrafts("cfo", PLAN).save("column", { opened: before, typed: { key, title: "Level" } })
  const [column] = readColumns(ours.doc())
  if (!column) throw new Error("there is no column")
  setColumn(ours, column, { ...input, title: "Rank" }, "CEO", ours.heads())
  const reopened = reopen(ours, "column").before
  expect(reopened).toEqual(before)
  expect(setColumn(ours, column, { ...input, title: "Level" }, "CFO", reopened.heads).isContested).toBe(true)
  // A copy without the column does not offer to add it.
  const { dialog } = reopenForms(formDrafts("cfo", PLAN), planOf(createCopies().ours), true)
  expect(dialog).toBeNull()
})

it("what was typed into forms that stay closed is dropped", () => {
  const { ours } = createCopies()
  const drafts = formDrafts("cfo", PLAN)
  const save = () => {
    drafts.save("bulk", { opened: null, typed: { ids: ["a"] } })
    drafts.save("column", { opened: planOf(ours).readColumn(null), typed: { key: null, title: "Level" } })
    drafts.save("settings", { opened: planOf(ours).readSettings(), typed: { total: "7" } })
    drafts.save("add", { opened: null, typed: { designation: "Cook" } })
  }
  save()
  expect(reopenForms(drafts, planOf(ours), true)).toMatchObject({ open: { kind: "settings" }, dialog: { kind: "bulk", ids: ["a"] } })
  expect(drafts.read("column")).toBeNull()
  save()
  expect(reopenForms(drafts, planOf(ours), false)).toEqual({ open: null, dialog: null })
  expect((["bulk", "column", "settings"] as const).map(drafts.read)).toEqual([null, null, null])
  expect(drafts.read("add")).not.toBeNull()
})
