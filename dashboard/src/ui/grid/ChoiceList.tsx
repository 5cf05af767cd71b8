import { type ChoiceKey, choicesOf, fieldNoun } from "../../plan/fields"
import { EditorPopup } from "../EditorPopup"

interface Props {
  field: ChoiceKey
  /** Id of the list; the options have ids below it. */
  id: string
  /** The marked value; `undefined` if none is. */
  marked: string | null | undefined
  onPick: (value: string | null) => void
}

/** The option without a value, and the choices. */
export const optionsOf = (field: ChoiceKey): readonly { value: string | null; label: string }[] => [
  { value: null, label: `No ${fieldNoun(field)}` },
  ...choicesOf(field),
]

export const optionId = (list: string, value: string | null): string => `${list}-${value ?? "none"}`

/** The options of a choice, below its editor. The focus stays in the editor. */
export function ChoiceList({ field, id, marked, onPick }: Props) {
  return (
    <EditorPopup id={id} role="listbox" label={`Values of ${fieldNoun(field)}`}>
      {optionsOf(field).map(({ value, label }) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the editor
        <div
          key={label}
          id={optionId(id, value)}
          role="option"
          aria-selected={value === marked}
          className={value === null ? "option none" : "option"}
          onClick={() => onPick(value)}
        >
          {value !== null && <span className={`status-dot status-${value}`} aria-hidden />}
          {label}
        </div>
      ))}
    </EditorPopup>
  )
}
