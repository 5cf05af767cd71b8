/** State of the import dialog: the worker, the open table, the choices of the user, and the review. */
import { useCallback, useEffect, useRef, useState } from "react"
import { LOCALE_SEPARATORS } from "../plan/amount"
import { type ColumnTarget, type Mapping, withTarget } from "../plan/table-import/mapping"
import type { ImportChanges, ImportOptions } from "../plan/table-import/review"
import type { PlanStore } from "../sync/plan-store"
import { TableClient } from "../tables/client"
import type { ComparedPlan, ReviewedTable, TableInfo, TableSource } from "../tables/session"

const NO_OPTIONS: ImportOptions = { deletesMissing: false, skipsDuplicates: false }

const isProblem = (result: object): result is { problem: string } => Object.keys(result).length === 1 && "problem" in result

export function useTableImport(store: PlanStore) {
  const client = useRef<TableClient | null>(null)
  /** Heads of the plan that the worker has. */
  const heads = useRef("")
  /** Requests that a later one has replaced are dropped. */
  const latest = useRef(0)
  const [info, setInfo] = useState<TableInfo | null>(null)
  const [mapping, setMapping] = useState<Mapping | null>(null)
  const [options, setOptions] = useState(NO_OPTIONS)
  const [reviewed, setReviewed] = useState<ReviewedTable | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState<string | null>(null)

  useEffect(
    () => () => {
      client.current?.close()
      client.current = null
    },
    [],
  )

  const request = useCallback<TableClient["request"]>((method, params) => {
    client.current ??= new TableClient()
    return client.current.request(method, params)
  }, [])

  /** Sends the plan if it has changed. Returns whether it has. */
  const sendPlan = useCallback(async (): Promise<boolean> => {
    const snapshot = store.getSnapshot()
    const { currency, unit } = snapshot.settings
    const now = snapshot.heads.join()
    if (now === heads.current) return false
    heads.current = now
    const plan: ComparedPlan = { positions: snapshot.positions, own: snapshot.columns.own, currency, unit, separators: LOCALE_SEPARATORS }
    await request("setPlan", plan)
    return true
  }, [store, request])

  /** Reviews a mapping. Its unit is proposed again if the budget is in another column. */
  const review = useCallback(
    async (next: Mapping, nextOptions: ImportOptions, isNewBudget: boolean): Promise<ReviewedTable | null> => {
      latest.current += 1
      const turn = latest.current
      setMapping(next)
      setOptions(nextOptions)
      setBusy("Comparing the table with the plan…")
      try {
        let chosen = next
        let result = await request("review", { mapping: chosen, options: nextOptions })
        if (isNewBudget && !isProblem(result)) {
          const unit = result.namedUnit ?? (result.review.unit?.isDoubtful ? null : store.getSnapshot().settings.unit)
          if (unit !== chosen.unit) {
            chosen = { ...chosen, unit }
            result = await request("review", { mapping: chosen, options: nextOptions })
          }
        }
        if (turn !== latest.current) return null
        setMapping(chosen)
        setReviewed(isProblem(result) ? null : result)
        setProblem(isProblem(result) ? result.problem : null)
        return isProblem(result) ? null : result
      } catch {
        if (turn === latest.current) setProblem("The table could not be read.")
        return null
      } finally {
        if (turn === latest.current) setBusy(null)
      }
    },
    [request, store],
  )

  const load = useCallback(
    async (read: () => Promise<TableInfo | { problem: string }>) => {
      latest.current += 1
      const turn = latest.current
      setInfo(null)
      setMapping(null)
      setReviewed(null)
      setProblem(null)
      setBusy("Reading the table…")
      try {
        await sendPlan()
        const opened = await read()
        if (turn !== latest.current) return
        if (isProblem(opened)) {
          setProblem(opened.problem)
          setBusy(null)
          return
        }
        setInfo(opened)
        await review(opened.proposal.mapping, NO_OPTIONS, false)
      } catch {
        if (turn !== latest.current) return
        setProblem("The file could not be read.")
        setBusy(null)
      }
    },
    [sendPlan, review],
  )

  const open = useCallback((source: TableSource) => load(() => request("open", source)), [load, request])
  const clear = useCallback((reason: string | null) => {
    latest.current += 1
    setInfo(null)
    setMapping(null)
    setReviewed(null)
    setBusy(null)
    setProblem(reason)
  }, [])

  return {
    info,
    mapping,
    options,
    reviewed,
    problem,
    busy,
    open,
    clear,
    selectSheet: (index: number) => void load(() => request("selectSheet", { index })),
    setTarget: (column: number, target: ColumnTarget | null) => {
      if (!mapping) return
      const next = withTarget(mapping, column, target)
      void review(next, options, next.targets.indexOf("budget") !== mapping.targets.indexOf("budget"))
    },
    setHeaderRow: async (headerRow: number) => {
      if (!mapping) return
      const targets = await request("propose", { headerRow })
      void review({ ...mapping, headerRow, targets }, options, true)
    },
    setUnit: (unit: number) => mapping && void review({ ...mapping, unit }, options, false),
    setHiddenRows: (hasHiddenRows: boolean) => mapping && void review({ ...mapping, hasHiddenRows }, options, false),
    setOption: (part: Partial<ImportOptions>) => mapping && void review(mapping, { ...options, ...part }, false),
    /** The changes to write; `null` if the plan has changed so that the review differs. */
    changes: async (): Promise<ImportChanges | null> => {
      if (!mapping || !reviewed) return null
      if (await sendPlan()) {
        const before = JSON.stringify(reviewed.review)
        const now = await review(mapping, options, false)
        if (!now || JSON.stringify(now.review) !== before) return null
      }
      return request("changes", { mapping, options })
    },
  }
}

export type TableImport = ReturnType<typeof useTableImport>
