/** Keeps what is typed into a form over a reload. */
import { createContext, useContext, useEffect, useState } from "react"
import { type FormDrafts, type FormName, NO_DRAFTS } from "../sync/form-drafts"

export const FormDraftsContext = createContext<FormDrafts>(NO_DRAFTS)

/** What was typed into a form before the page was loaded; `null` if nothing was. */
export function useTypedBefore<T>(form: FormName): T | null {
  const drafts = useContext(FormDraftsContext)
  const [before] = useState(() => drafts.read(form) as T | null)
  return before
}

/** Keeps what is typed into a form; `null` for nothing. */
export function useFormDraft(form: FormName, typed: unknown): void {
  const drafts = useContext(FormDraftsContext)
  const text = JSON.stringify(typed)
  useEffect(() => {
    if (text === "null") drafts.clear(form)
    else drafts.save(form, JSON.parse(text))
  }, [drafts, form, text])
}
