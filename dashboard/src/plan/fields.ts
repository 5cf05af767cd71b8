/**
 * The fields of a position. Types, columns, forms, validation, filters, CSV and history derive from this table: to add a text field, add
 * one entry.
 *
 * A plan may have columns of its own besides. A {@link Field} is one or the other.
 */

/** A value of a `choice` field. */
export interface Choice {
  /** As the document stores it. */
  value: string
  label: string
}

interface FieldDefinition {
  /** Key in the document, in CSV files and in the API. */
  key: string
  label: string
  /**
   * `amount`: a number in units of the plan, or unknown. `choice`: one of `choices`, or not set. `month`: a month such as `2027-06`, or not
   * set. Texts are always present; the other kinds are absent from the document while they have no value.
   */
  kind: "text" | "amount" | "choice" | "month"
  /** The values of a `choice`, in the order in which a position goes through them. */
  choices?: readonly Choice[]
  /** A blank value is rejected. */
  isRequired?: true
  /** The page offers a filter, a chart and suggestions for the values of this field. */
  isGroup?: true
  /** Width of the column, as a share of the row. */
  width: number
  /** The column is hidden on phones. */
  isHiddenOnPhones?: true
  /**
   * Column names that an import recognizes, the most specific first. Case, punctuation, and words such as “annual” are ignored.
   */
  columnNames: readonly string[]
}

/** In the order of the columns. */
export const FIELD_DEFINITIONS = [
  {
    key: "designation",
    label: "Designation",
    kind: "text",
    isRequired: true,
    width: 2,
    columnNames: [
      "designation",
      "position title",
      "job title",
      "position name",
      "job role",
      "job designation",
      "role title",
      "role name",
      "job name",
      "job profile",
      "position",
      "role",
      "title",
      "job",
      "post",
      "occupation",
    ],
  },
  {
    key: "department",
    label: "Department",
    kind: "text",
    isGroup: true,
    width: 1.3,
    columnNames: [
      "department",
      "department name",
      "dept",
      "dept name",
      "team",
      "team name",
      "division",
      "business unit",
      "function",
      "business function",
      "org unit",
      "organization unit",
      "organisation unit",
    ],
  },
  {
    key: "budget",
    label: "Budget",
    kind: "amount",
    width: 1.3,
    columnNames: [
      "budget",
      "budget amount",
      "budgeted amount",
      "position budget",
      "salary budget",
      "approved budget",
      "planned budget",
      "proposed budget",
      "budgeted cost",
      "budgeted salary",
      "planned cost",
      "planned salary",
      "cost to company",
      "ctc",
      "total ctc",
      "total cost",
      "total compensation",
      "base salary",
      "basic salary",
      "gross salary",
      "salary",
      "salary amount",
      "total salary",
      "base pay",
      "gross pay",
      "pay",
      "base compensation",
      "compensation",
      "remuneration",
      "salary package",
      "total package",
      "package",
      "wage",
      "cost",
      "amount",
      "total budget",
    ],
  },
  {
    key: "location",
    label: "Location",
    kind: "text",
    isGroup: true,
    width: 1.3,
    columnNames: [
      "location",
      "work location",
      "job location",
      "office location",
      "base location",
      "location name",
      "work city",
      "city",
      "office",
      "site",
      "work site",
      "workplace",
      "place of work",
      "place",
      "branch",
    ],
  },
  {
    key: "status",
    label: "Status",
    kind: "choice",
    choices: [
      { value: "proposed", label: "Proposed" },
      { value: "approved", label: "Approved" },
      { value: "open", label: "Open" },
      { value: "filled", label: "Filled" },
    ],
    isGroup: true,
    width: 1.1,
    columnNames: ["status", "position status", "approval status", "hiring status", "requisition status", "headcount status"],
  },
  {
    key: "start",
    label: "Start",
    kind: "month",
    width: 0.9,
    columnNames: [
      "start",
      "start month",
      "start date",
      "planned start",
      "planned start date",
      "expected start date",
      "joining date",
      "joining month",
      "date of joining",
      "join date",
      "doj",
      "hire date",
      "hire month",
    ],
  },
  {
    key: "end",
    label: "End",
    kind: "month",
    width: 0.9,
    columnNames: [
      "end",
      "end month",
      "end date",
      "planned end",
      "planned end date",
      "contract end",
      "contract end date",
      "leaving date",
      "exit date",
      "last month",
      "last working day",
    ],
  },
] as const satisfies readonly FieldDefinition[]

type Definition = (typeof FIELD_DEFINITIONS)[number]
type KeyOf<K extends FieldDefinition["kind"]> = Extract<Definition, { kind: K }>["key"]
export type FieldKey = Definition["key"]
export type TextKey = KeyOf<"text">
export type AmountKey = KeyOf<"amount">
export type ChoiceKey = KeyOf<"choice">
export type MonthKey = KeyOf<"month">
/** A field whose values group positions. */
export type GroupKey = Extract<Definition, { isGroup: true }>["key"]

/** The key of a column that the people of a plan have added: any key that no field of a position has. */
export type OwnKey = string & { readonly [ownKey]: never }
declare const ownKey: unique symbol

/** The key of a field, or of a column of the plan. */
export type ColumnKey = FieldKey | OwnKey

interface OwnColumnBase {
  key: OwnKey
  label: string
}

/** A column of the plan. Its values are absent from the document while they are not set. */
export type OwnColumn = OwnColumnBase &
  (
    | { kind: "text" | "number" | "date" }
    | { kind: "choice"; choices: readonly Choice[] }
    /** Another version of the page has made a type that this one does not know. The values are shown and not edited. */
    | { kind: "unknown" }
  )

/** A field by its key, or a column of the plan. */
export type Field = FieldKey | OwnColumn
/** A field or column whose values are choices. */
export type ChoiceField = ChoiceKey | Extract<OwnColumn, { kind: "choice" }>
/** The key of a field or column whose values group positions. */
export type GroupColumnKey = GroupKey | OwnKey
/** A field or column whose values group positions. */
export type GroupField = GroupKey | Extract<OwnColumn, { kind: "choice" }>

/** The fields of a position as the page shows them. An amount, a choice or a month without a value is `null`. */
export type FieldValues = { [K in TextKey]: string } & { [K in AmountKey]: number | null } & { [K in ChoiceKey | MonthKey]: string | null }

/** The fields of a position as the document stores them. An amount, a choice or a month without a value is absent. */
export type StoredFields = { [K in TextKey]: string } & { [K in AmountKey]?: number } & { [K in ChoiceKey | MonthKey]?: string }

const DEFINITIONS: readonly (FieldDefinition & { key: FieldKey })[] = FIELD_DEFINITIONS
const BY_KEY = new Map<string, FieldDefinition>(DEFINITIONS.map((definition) => [definition.key, definition]))

export const FIELDS: readonly FieldKey[] = DEFINITIONS.map(({ key }) => key)

export const isOwnColumn = (field: Field): field is OwnColumn => typeof field !== "string"
export const keyOf = (field: Field): ColumnKey => (isOwnColumn(field) ? field.key : field)
/** The kind of a field, or of a column of the plan. */
export const kindOf = (field: Field): FieldDefinition["kind"] | OwnColumn["kind"] =>
  isOwnColumn(field) ? field.kind : (BY_KEY.get(field)?.kind ?? "unknown")

export const isFieldKey = (key: string): key is FieldKey => BY_KEY.has(key)
export const isAmountField = (field: Field): field is AmountKey => kindOf(field) === "amount"
export const isTextField = (field: Field): field is TextKey => !isOwnColumn(field) && kindOf(field) === "text"
export const isChoiceField = (field: Field): field is ChoiceField => kindOf(field) === "choice"
export const isMonthField = (field: Field): field is MonthKey => kindOf(field) === "month"
export const isGroupField = (field: Field): field is GroupField =>
  isOwnColumn(field) ? field.kind === "choice" : BY_KEY.get(field)?.isGroup === true
export const isRequiredField = (field: Field): boolean => !isOwnColumn(field) && BY_KEY.get(field)?.isRequired === true
/** Phones have no room for further columns. */
export const isHiddenOnPhones = (field: Field): boolean => isOwnColumn(field) || BY_KEY.get(field)?.isHiddenOnPhones === true
/** Whether the values are numbers. */
export const isNumeric = (field: Field): boolean => isAmountField(field) || kindOf(field) === "number"

export const TEXT_FIELDS: readonly TextKey[] = FIELDS.filter(isTextField)
export const GROUP_FIELDS: readonly GroupKey[] = FIELDS.filter((key): key is GroupKey => isGroupField(key))

/** The value of an unset field: an empty text, or `null` if the document has no key for it. */
export const emptyValue = (field: Field): "" | null => (isTextField(field) ? "" : null)

/** The values of a choice in their order; empty for other fields. */
export function choicesOf(field: Field): readonly Choice[] {
  if (isOwnColumn(field)) return field.kind === "choice" ? field.choices : []
  return BY_KEY.get(field)?.choices ?? []
}

/** Keys of a row that are not edited themselves, but appear in the history. */
const OTHER_LABELS = new Map([["approvedBudget", "Approved budget"]])

/** The label of a field. Fields that other programs added are called by their key. */
export const fieldLabel = (field: Field | string): string =>
  typeof field === "string" ? (BY_KEY.get(field)?.label ?? OTHER_LABELS.get(field) ?? field) : field.label

/** The label of a field inside a sentence. Columns of the plan keep their title as it is. */
export function fieldNoun(field: Field | string): string {
  if (typeof field !== "string") return field.label
  return isFieldKey(field) || OTHER_LABELS.has(field) ? fieldLabel(field).toLowerCase() : field
}

/** The labels of all fields as a list: `designation, department, budget`. */
export const FIELD_LIST = FIELDS.map(fieldNoun).join(", ")

/** Builds the fields of a position from a function that returns the value of one field. */
export const fieldValues = (read: (key: FieldKey) => string | number | null): FieldValues =>
  Object.fromEntries(FIELDS.map((key) => [key, read(key)])) as unknown as FieldValues

/** The fields of a position as they are stored: those without a value have no key, except texts. */
export const storedFields = (values: FieldValues): StoredFields =>
  Object.fromEntries(FIELDS.flatMap((key) => (values[key] === null ? [] : [[key, values[key]]]))) as unknown as StoredFields

/** Least widths of columns in rem: a month and the label of a choice are shown in full. */
const LEAST_WIDTHS = { text: 4.5, amount: 4.5, choice: 6.4, month: 5.5, number: 4.5, date: 6.5, unknown: 4.5 } as const
/** Share of the row that a column of the plan takes. */
const OWN_SHARE = 1.1

/** The share of the row that a column takes. */
export const shareOf = (field: Field): number => (isOwnColumn(field) ? OWN_SHARE : (BY_KEY.get(field)?.width ?? OWN_SHARE))

/** The CSS grid columns of fields. `widths`: those that the user has set, in rem. */
export const gridColumns = (fields: readonly Field[], widths: ReadonlyMap<string, number> = new Map()): string =>
  fields
    .map((field) => {
      const width = widths.get(keyOf(field))
      return width === undefined ? `minmax(${LEAST_WIDTHS[kindOf(field)]}rem, ${shareOf(field)}fr)` : `${width}rem`
    })
    .join(" ")
