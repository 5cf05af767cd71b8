import { fieldNoun } from "../plan/fields"
import type { InvalidValue } from "../plan/invalid-values"

/** A value that is not valid for its field. The user corrects it in the list. */
export function InvalidValueRow({ designation, field, text }: InvalidValue) {
  return (
    <li>
      <span>
        {field === null ? (
          <>
            <strong>{text}</strong> is not a position. Delete it, or correct it with the program that wrote it.
          </>
        ) : (
          <>
            <strong>{designation || "Untitled position"}</strong>: “{text}” is not valid as the {fieldNoun(field)}, and not counted. Enter
            another value.
          </>
        )}
      </span>
    </li>
  )
}
