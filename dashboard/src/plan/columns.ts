/**
 * The columns of a plan: the fields of a position, and the columns that the people of the plan have added.
 *
 * Keys are stored and compared; a key is looked up here for its label and its type.
 */
import { type ColumnKey, FIELDS, type Field, fieldLabel, fieldNoun, type GroupField, isFieldKey, isGroupField, keyOf } from "./fields"
import type { PlanColumn } from "./own-columns"

export class PlanColumns {
  /** The columns of the plan, in their order. */
  readonly own: readonly PlanColumn[]
  /** Columns that were deleted. Their values are kept. */
  readonly deleted: readonly PlanColumn[]
  /** All columns in the order of the list. The first one names the position. */
  readonly fields: readonly Field[]
  #byKey = new Map<string, PlanColumn>()

  /** `all`: deleted columns included. */
  constructor(readonly all: readonly PlanColumn[]) {
    const sorted = [...all].sort((one, other) => one.order - other.order || (one.key < other.key ? -1 : 1))
    this.own = sorted.filter(({ isDeleted }) => !isDeleted)
    this.deleted = sorted.filter(({ isDeleted }) => isDeleted)
    for (const column of all) this.#byKey.set(column.key, column)
    this.fields = [...FIELDS, ...this.own].sort((one, other) => orderOf(one) - orderOf(other))
  }

  /** The field or column with a key; `null` if there is none, or if it was deleted. */
  field(key: string): Field | null {
    if (isFieldKey(key)) return key
    const column = this.#byKey.get(key)
    return column === undefined || column.isDeleted ? null : column
  }

  /** The field or column that a text of this plan names: for a key that is known to exist. */
  known(key: ColumnKey): Field {
    return this.field(key) ?? { key: key as PlanColumn["key"], label: this.label(key), kind: "unknown" }
  }

  /** A column that people have added, also a deleted one. */
  column(key: string): PlanColumn | null {
    return this.#byKey.get(key) ?? null
  }

  /** The label of a column, also of a deleted one. Fields of other programs are called by their key. */
  label(key: string): string {
    return isFieldKey(key) ? fieldLabel(key) : (this.#byKey.get(key)?.label ?? fieldLabel(key))
  }

  /** The label inside a sentence. */
  noun(key: string): string {
    return isFieldKey(key) ? fieldNoun(key) : (this.#byKey.get(key)?.label ?? fieldNoun(key))
  }

  /** The fields and columns whose values group positions. */
  get groupFields(): readonly GroupField[] {
    return this.fields.filter(isGroupField)
  }

  /** The columns of the list without those that a view hides. The first column cannot be hidden. */
  visible(hidden: ReadonlySet<string>): readonly Field[] {
    return hidden.size === 0 ? this.fields : this.fields.filter((field, at) => at === 0 || !hidden.has(keyOf(field)))
  }
}

/** The place of a field or column among all others. */
export const orderOf = (field: Field): number => (typeof field === "string" ? FIELDS.indexOf(field) + 1 : (field as PlanColumn).order)

/** A plan without columns of its own. */
export const NO_COLUMNS = new PlanColumns([])
