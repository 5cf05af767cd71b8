/** Conflicts in the shared maps of a plan, as the page lists and resolves them. */
import { type DepartmentBudget, departmentBudgetPlace } from "../plan/department-budgets"
import { formatValue } from "../plan/format"
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

/** The contents of the shared maps. */
interface SharedMaps {
  departmentBudgets: readonly DepartmentBudget[]
  savedViews: readonly SavedView[]
  versions: readonly NamedVersion[]
}

/** All places that can have a conflict, with their current values. */
function allPlaces({ departmentBudgets: budgets, savedViews: views, versions }: SharedMaps): PlaceConflict[] {
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
        format: field === "name" ? formatValue : (value) => describeView(String(value ?? "")),
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
  return [...ofBudgets, ...ofViews, ...ofVersions]
}

export const placeConflicts = (maps: SharedMaps): PlaceConflict[] => allPlaces(maps).filter(({ conflict }) => conflict !== null)

/** The values of one place, also after its conflict has been resolved. */
export const findPlace = (maps: SharedMaps, place: Place): PlaceConflict | undefined =>
  allPlaces(maps).find((other) => other.place.join("/") === place.join("/"))
