import { useEffect } from "react"
import { type ChoiceField, choicesOf, fieldNoun, isOwnColumn } from "../../plan/fields"
import { EditorPopup } from "../EditorPopup"

interface Props {
  field: ChoiceField
  /** Id of the list; the options have ids below it. */
  id: string
  /** The marked value; `undefined` if none is. */
  marked: string | null | undefined
  onPick: (value: string | null) => void
}

/** The option without a value, and the choices. */
export const optionsOf = (field: ChoiceField): readonly { value: string | null; label: string }[] => [
  { value: null, label: isOwnColumn(field) ? "Not set" : `No ${fieldNoun(field)}` },
  ...choicesOf(field),
]

/** `at`: index of the option. */
export const optionId = (list: string, at: number): string => `${list}-${at}`

/** The options of a choice, below its editor. The focus stays in the editor. */
export function ChoiceList({ field, id, marked, onPick }: Props) {
  const options = optionsOf(field)
  const at = options.findIndex(({ value }) => value === marked)
  useEffect(() => {
    // Newer browsers return a promise.
    void document.getElementById(optionId(id, at))?.scrollIntoView({ block: "nearest" })
  }, [id, at])
  return (
    <EditorPopup id={id} role="listbox" label={`Values of ${fieldNoun(field)}`}>
      {options.map(({ value, label }, at) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the editor
        <div
          key={value ?? ""}
          id={optionId(id, at)}
          role="option"
          aria-selected={value === marked}
          className={value === null ? "option none" : "option"}
          onClick={() => onPick(value)}
        >
          {field === "status" && value !== null && <span className={`status-dot status-${value}`} aria-hidden />}
          {label}
        </div>
      ))}
    </EditorPopup>
  )
}
