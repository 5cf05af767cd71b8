import { TriangleAlert, Undo2 } from "lucide-react"
import { useMemo, useState } from "react"
import type { DiscardedEdit } from "../history/events"
import { type ColumnKey, type Field, fieldLabel, fieldNoun, keyOf } from "../plan/fields"
import { formatDateTime, formatFieldValue } from "../plan/format"
import type { ParsedInput } from "../plan/input"
import { invalidValues } from "../plan/invalid-values"
import type { Mention } from "../plan/mentions"
import type { Place } from "../plan/root-map"
import { type Position, SETTING_LABELS, SETTINGS, type Setting, type SettingConflicts, shownValue } from "../plan/schema"
import type { UnsavedDraft } from "../sync/unsaved-drafts"
import { useColumns } from "./columns-context"
import { MentionRow } from "./comments/MentionRow"
import { mentionKey } from "./comments/use-mentions"
import { InvalidValueRow } from "./InvalidValueRow"
import type { PlaceConflict } from "./place-conflicts"

/** A discarded edit, and the position if it has been restored. */
export interface DiscardedEditItem {
  edit: DiscardedEdit
  position: Position | null
}

/** An unsaved draft, and the position if it has been restored. */
export interface DraftItem {
  draft: UnsavedDraft
  /** The parsed text. */
  input: ParsedInput
  position: Position | null
}

interface Props {
  positions: readonly Position[]
  settings: SettingConflicts | null
  /** Places in the shared maps that have conflicts. */
  places: readonly PlaceConflict[]
  drafts: readonly DraftItem[]
  /** Unresolved comments that mention the user. */
  mentions: readonly Mention[]
  discardedEdits: readonly DiscardedEditItem[]
  /** Number of rows in losing position maps. */
  hiddenRows: number
  historyProblem: string | null
  canEdit: boolean
  onConflict: (id: string, field: ColumnKey) => void
  onSetting: (key: Setting) => void
  onPlace: (place: Place) => void
  onRestore: (discardedEdits: DiscardedEdit) => void
  onDismiss: (discardedEdits: DiscardedEdit) => void
  onApplyDraft: (drafts: DraftItem) => void
  onDiscardDraft: (drafts: UnsavedDraft) => void
  onMergeHiddenRows: () => void
  /** `id`: of the position. */
  onShowComments: (id: string) => void
  onDismissMention: (mention: Mention) => void
}

const SHOWN_ITEMS = 4

/** Lists conflicts, values that are not valid, discarded edits, unsaved drafts and mentions. The user decides about each of them. */
export function ReviewPanel({
  positions,
  settings,
  places,
  drafts,
  mentions,
  discardedEdits,
  hiddenRows,
  historyProblem,
  canEdit,
  ...handlers
}: Props) {
  const {
    onConflict,
    onSetting,
    onPlace,
    onRestore,
    onDismiss,
    onApplyDraft,
    onDiscardDraft,
    onMergeHiddenRows,
    onShowComments,
    onDismissMention,
  } = handlers
  const [isAll, setAll] = useState(false)
  const columns = useColumns()
  const invalid = useMemo(() => invalidValues(positions, columns), [positions, columns])
  const items = [
    ...drafts.map((item) => (
      <UnsavedDraftRow
        key={item.draft.key}
        item={item}
        canEdit={canEdit}
        onApply={() => onApplyDraft(item)}
        onDismiss={() => onDiscardDraft(item.draft)}
      />
    )),
    ...SETTINGS.filter((key) => settings?.[key]).map((key) => (
      <SettingConflictRow key={key} setting={key} onCompare={() => onSetting(key)} />
    )),
    ...places.map((conflict) => (
      <PlaceConflictRow key={conflict.place.join("/")} {...conflict} onCompare={() => onPlace(conflict.place)} />
    )),
    ...positions.flatMap((position) =>
      position.conflicts === null
        ? []
        : columns.fields.flatMap((field) => {
            const key = keyOf(field)
            if (!position.conflicts?.[key]) return []
            return [
              <ConflictRow
                key={`${position.id}/${key}`}
                position={position}
                field={field}
                onCompare={() => onConflict(position.id, key)}
              />,
            ]
          }),
    ),
    ...invalid.listed.map((value) => (
      <InvalidValueRow key={`invalid/${value.id}/${value.field === null ? "" : keyOf(value.field)}`} {...value} />
    )),
    ...(invalid.others > 0 ? [<li key="invalid">And {invalid.others} more values that are not valid.</li>] : []),
    ...mentions.map((mention) => (
      <MentionRow
        key={mentionKey(mention)}
        name={positions.find(({ id }) => id === mention.position)?.designation || "Untitled position"}
        comment={mention.comment}
        onShow={() => onShowComments(mention.position)}
        onDismiss={() => onDismissMention(mention)}
      />
    )),
    ...discardedEdits.map((item) => (
      <DiscardedEditRow
        key={item.edit.key}
        item={item}
        canEdit={canEdit}
        onRestore={() => onRestore(item.edit)}
        onDismiss={() => onDismiss(item.edit)}
      />
    )),
    ...(hiddenRows > 0 ? [<HiddenRowsRow key="hidden" count={hiddenRows} onMerge={canEdit ? onMergeHiddenRows : null} />] : []),
    ...(historyProblem ? [<li key="history">The history could not be read, so discarded edits are not listed: {historyProblem}</li>] : []),
  ]
  const count = items.length + Math.max(invalid.others - 1, 0)
  if (count === 0) return null
  return (
    <section className="card review" aria-label="Needs review">
      <h2>
        <TriangleAlert aria-hidden />
        <span role="status">
          {count} {count === 1 ? "item needs" : "items need"} review
        </span>
      </h2>
      <ul>{isAll ? items : items.slice(0, SHOWN_ITEMS)}</ul>
      {count > SHOWN_ITEMS && (
        <button type="button" className="link" onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show all ${count}`}
        </button>
      )}
    </section>
  )
}

function HiddenRowsRow({ count, onMerge }: { count: number; onMerge: (() => void) | null }) {
  return (
    <li>
      <span>
        Two lists of positions were created at the same time. {count} {count === 1 ? "position" : "positions"} of the second list{" "}
        {count === 1 ? "is" : "are"} hidden.
      </span>
      {onMerge && (
        <button type="button" onClick={onMerge}>
          Add to this list
        </button>
      )}
    </li>
  )
}

function SettingConflictRow({ setting, onCompare }: { setting: Setting; onCompare: () => void }) {
  const label = SETTING_LABELS[setting]
  return (
    <li>
      <span>
        <strong>Plan</strong>: conflicting values for {label.toLowerCase()}.
      </span>
      <button type="button" onClick={onCompare}>
        Compare<span className="hidden"> the values of {label} of the plan</span>
      </button>
    </li>
  )
}

function PlaceConflictRow({ title, onCompare }: PlaceConflict & { onCompare: () => void }) {
  return (
    <li>
      <span>
        <strong>{title}</strong>: conflicting values.
      </span>
      <button type="button" onClick={onCompare}>
        Compare<span className="hidden"> the values of {title}</span>
      </button>
    </li>
  )
}

function ConflictRow({ position, field, onCompare }: { position: Position; field: Field; onCompare: () => void }) {
  return (
    <li>
      <span>
        <strong>{position.designation}</strong>: conflicting values for {fieldNoun(field)}.
      </span>
      <button type="button" onClick={onCompare}>
        Compare
        <span className="hidden">
          {" "}
          the values of {fieldLabel(field)} of {position.designation}
        </span>
      </button>
    </li>
  )
}

interface UnsavedDraftProps {
  item: DraftItem
  canEdit: boolean
  onApply: () => void
  onDismiss: () => void
}

function UnsavedDraftRow({ item: { draft, input, position }, canEdit, onApply, onDismiss }: UnsavedDraftProps) {
  const columns = useColumns()
  const { name, text } = draft
  const field = columns.known(draft.field)
  return (
    <li>
      <span>
        <strong>{name}</strong>: {draft.isClosed ? "the page was closed" : "deleted by somebody else"} while you were entering “{text}” as
        the {fieldNoun(field)}.
        {position && ` It ${draft.isClosed ? "is" : "was restored with"} ${formatFieldValue(field, shownValue(position, draft.field))}.`}
        {!position && draft.isClosed && " Somebody has deleted the position since."}
      </span>
      <span className="row-buttons">
        {canEdit && (position === null || "value" in input) && (
          <RecoverButton
            isRestored={position !== null}
            label={fieldLabel(field)}
            value={"value" in input ? formatFieldValue(field, input.value) : ""}
            name={name}
            onClick={onApply}
          />
        )}
        <button type="button" aria-label={`Discard draft: ${name}`} onClick={onDismiss}>
          Discard{" "}
        </button>
      </span>
    </li>
  )
}

interface DiscardedEditProps {
  item: DiscardedEditItem
  canEdit: boolean
  onRestore: () => void
  onDismiss: () => void
}

function DiscardedEditRow({ item: { edit, position }, canEdit, onRestore, onDismiss }: DiscardedEditProps) {
  const columns = useColumns()
  const { name, field, value, nested } = edit
  const label = columns.label(field)
  const known = columns.field(field)
  const shown = known ?? field
  const leave = position ? "Dismiss" : "Keep deleted"
  return (
    <li>
      <span>
        <strong>{name}</strong>: {edit.author}{" "}
        {nested ? `changed ${label}` : `set ${columns.noun(field)} to ${formatFieldValue(shown, value)}`}
        {edit.time !== null && ` (${formatDateTime(edit.time)})`} while {edit.deletedBy} deleted the position.
        {position && ` It was restored${known ? ` with ${formatFieldValue(known, shownValue(position, keyOf(known)))}` : ""}.`}
      </span>
      {canEdit && (
        <span className="row-buttons">
          <RecoverButton
            isRestored={position !== null}
            label={label}
            value={nested ? "the edit" : formatFieldValue(shown, value)}
            name={name}
            onClick={onRestore}
          />
          <button type="button" aria-label={`${leave}: ${name}`} onClick={onDismiss}>
            {leave}
          </button>
        </span>
      )}
    </li>
  )
}

interface RecoverButtonProps {
  /** The position exists again; only the value is missing. */
  isRestored: boolean
  /** Of the field. */
  label: string
  value: string
  name: string
  onClick: () => void
}

function RecoverButton({ isRestored, label, value, name, onClick }: RecoverButtonProps) {
  return (
    <button type="button" onClick={onClick}>
      {isRestored ? (
        <>
          Use {value}
          <span className="hidden">
            {" "}
            as {label} of {name}
          </span>
        </>
      ) : (
        <>
          <Undo2 aria-hidden /> Restore<span className="hidden"> {name}</span>
        </>
      )}
    </button>
  )
}
