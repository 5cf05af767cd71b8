/** Conflicts in the shared maps of a plan, as the page lists and resolves them. */

import type { PlanColumns } from "../plan/columns"
import { type DepartmentBudget, departmentBudgetPlace } from "../plan/department-budgets"
import { formatValue } from "../plan/format"
import { COLUMN_TYPE_LABELS, type ColumnSetting, type ColumnType, columnPlace } from "../plan/own-columns"
import type { Place } from "../plan/root-map"
import { type SavedView, type SavedViewField, savedViewPlace } from "../plan/saved-views"
import type { Conflict, FieldValue } from "../plan/schema"
import { type NamedVersion, versionPlace } from "../plan/versions"
import { describeView } from "../plan/view"

export interface PlaceConflict {
  place: Place
  title: string
  /** The shown value, and its author if known. */
  value: FieldValue
  setBy: string
  conflict: Conflict | null
  format: (value: FieldValue) => string
}

/** What the shared maps of a plan contain. */
export interface SharedEntries {
  departmentBudgets: readonly DepartmentBudget[]
  savedViews: readonly SavedView[]
  versions: readonly NamedVersion[]
  columns: PlanColumns
}

const typeLabel = (value: FieldValue): string => COLUMN_TYPE_LABELS[value as ColumnType] ?? String(value ?? "")

/** All places that can have a conflict, with their current values. */
function allPlaces({ departmentBudgets: budgets, savedViews: views, versions, columns }: SharedEntries): PlaceConflict[] {
  const ofBudgets = budgets.map(({ name, amount, mistyped, conflict }): PlaceConflict => {
    return {
      place: departmentBudgetPlace(name),
      title: `Budget of ${name}`,
      value: amount ?? mistyped,
      setBy: "",
      conflict,
      format: formatValue,
    }
  })
  const ofViews = views.flatMap((view) =>
    (["name", "view"] as const).map((field: SavedViewField): PlaceConflict => {
      return {
        place: savedViewPlace(view.id, field),
        title: field === "name" ? `Name of the view ${view.name}` : `View ${view.name}`,
        value: view[field],
        setBy: view.by,
        conflict: view.conflicts?.[field] ?? null,
        format: field === "name" ? formatValue : (value) => describeView(String(value ?? ""), columns),
      }
    }),
  )
  const ofVersions = versions.map(({ id, name, by, conflict }): PlaceConflict => {
    return {
      place: versionPlace(id, "name"),
      title: `Name of the version ${name}`,
      value: name,
      setBy: by,
      conflict,
      format: formatValue,
    }
  })
  const ofColumns = columns.own.flatMap(({ key, label, kind, conflicts }) =>
    (["title", "type"] as const).map((setting: ColumnSetting): PlaceConflict => {
      return {
        place: columnPlace(key, setting),
        title: `${setting === "title" ? "Name" : "Type"} of the column ${label}`,
        value: setting === "title" ? label : kind,
        setBy: "",
        conflict: conflicts?.[setting] ?? null,
        format: setting === "title" ? formatValue : typeLabel,
      }
    }),
  )
  return [...ofBudgets, ...ofViews, ...ofVersions, ...ofColumns]
}

export const placeConflicts = (entries: SharedEntries): PlaceConflict[] => allPlaces(entries).filter(({ conflict }) => conflict !== null)

/** The values of one place, also after its conflict has been resolved. */
export const findPlace = (entries: SharedEntries, place: Place): PlaceConflict | undefined =>
  allPlaces(entries).find((other) => other.place.join("/") === place.join("/"))
