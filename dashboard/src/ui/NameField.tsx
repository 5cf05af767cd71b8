/** The field of a form for a name, and what a name must be. */
import { type RefObject, useId } from "react"
import { MAX_TEXT } from "../plan/schema"
import { countCharacters, isBlank } from "../plan/text"

interface Props {
  label: string
  /** The name so far. */
  name: string
  placeholder?: string
  /** Why the typed text cannot be saved; empty if it can. */
  problem: string
  input?: RefObject<HTMLInputElement | null>
}

export function NameField({ label, name, placeholder, problem, input }: Props) {
  const id = useId()
  return (
    <>
      <label htmlFor={`${id}-name`}>{label}</label>
      <input
        ref={input}
        id={`${id}-name`}
        name="name"
        defaultValue={name}
        placeholder={placeholder}
        autoComplete="off"
        aria-invalid={problem !== ""}
        aria-describedby={`${id}-problem`}
      />
      <p role="alert" id={`${id}-problem`} className="problem">
        {problem}
      </p>
    </>
  )
}

/** The name in a submitted form. */
export const typedName = (form: HTMLFormElement): string => String(new FormData(form).get("name") ?? "").trim()

/** Why a text is not a name; empty if it is one. */
export function nameProblem(name: string): string {
  if (isBlank(name)) return "Enter a name."
  return countCharacters(name) > MAX_TEXT ? `A name can have at most ${MAX_TEXT.toLocaleString()} characters.` : ""
}
