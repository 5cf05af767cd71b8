/**
 * The fields of a position. Types, columns, forms, validation, filters, CSV and history derive from this table: to add a text field, add
 * one entry.
 */

interface FieldDefinition {
  /** Key in the document, in CSV files and in the API. */
  key: string
  label: string
  /** `amount`: a number in units of the plan, or unknown. */
  kind: "text" | "amount"
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
    width: 2.2,
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
    width: 1.4,
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
    width: 1.1,
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
] as const satisfies readonly FieldDefinition[]

type Definition = (typeof FIELD_DEFINITIONS)[number]
export type FieldKey = Definition["key"]
export type AmountKey = Extract<Definition, { kind: "amount" }>["key"]
export type TextKey = Exclude<FieldKey, AmountKey>
/** A field whose values group positions. */
export type GroupKey = Extract<Definition, { isGroup: true }>["key"]

/** The fields of a position as the page shows them. An unknown amount is `null`. */
export type FieldValues = { [K in TextKey]: string } & { [K in AmountKey]: number | null }

/** The fields of a position as the document stores them. An unknown amount is absent. */
export type StoredFields = { [K in TextKey]: string } & { [K in AmountKey]?: number }

const DEFINITIONS: readonly (FieldDefinition & { key: FieldKey })[] = FIELD_DEFINITIONS
const BY_KEY = new Map<string, FieldDefinition>(DEFINITIONS.map((definition) => [definition.key, definition]))

export const FIELDS: readonly FieldKey[] = DEFINITIONS.map(({ key }) => key)

export const isFieldKey = (key: string): key is FieldKey => BY_KEY.has(key)
export const isAmountField = (key: FieldKey): key is AmountKey => BY_KEY.get(key)?.kind === "amount"
export const isTextField = (key: FieldKey): key is TextKey => !isAmountField(key)
export const isGroupField = (key: FieldKey): key is GroupKey => BY_KEY.get(key)?.isGroup === true
export const isRequiredField = (key: FieldKey): boolean => BY_KEY.get(key)?.isRequired === true
export const isHiddenOnPhones = (key: FieldKey): boolean => BY_KEY.get(key)?.isHiddenOnPhones === true

export const TEXT_FIELDS: readonly TextKey[] = FIELDS.filter(isTextField)
export const GROUP_FIELDS: readonly GroupKey[] = FIELDS.filter(isGroupField)

/** The label of a field. Fields that other programs added are called by their key. */
export const fieldLabel = (key: string): string => BY_KEY.get(key)?.label ?? key

/** The label of a field inside a sentence. */
export const fieldNoun = (key: string): string => (isFieldKey(key) ? fieldLabel(key).toLowerCase() : key)

/** The labels of all fields as a list: `designation, department, budget, location`. */
export const FIELD_LIST = FIELDS.map(fieldNoun).join(", ")

/** Builds the fields of a position from a function that returns the value of one field. */
export const fieldValues = (read: (key: FieldKey) => string | number | null): FieldValues =>
  Object.fromEntries(FIELDS.map((key) => [key, read(key)])) as unknown as FieldValues

/** The fields of a position as they are stored: unknown amounts have no key. */
export const storedFields = (values: FieldValues): StoredFields =>
  Object.fromEntries(FIELDS.flatMap((key) => (values[key] === null ? [] : [[key, values[key]]]))) as unknown as StoredFields

/** The CSS grid columns of the fields. */
export const FIELD_COLUMNS = DEFINITIONS.map(({ width }) => `minmax(0, ${width}fr)`).join(" ")
