/** Keeps what is typed into a form over a reload. */
import { createContext, useContext, useEffect, useState } from "react"
import { type FormDrafts, type FormName, NO_DRAFTS } from "../sync/form-drafts"

export const FormDraftsContext = createContext<FormDrafts>(NO_DRAFTS)

/** What was typed into a form before the page was loaded; `null` if nothing was. */
export function useTypedBefore<T>(form: FormName): T | null {
  const drafts = useContext(FormDraftsContext)
  const [before] = useState(() => (drafts.read(form)?.typed ?? null) as T | null)
  return before
}

/** Keeps what is typed into a form, `null` for nothing. `opened`: the values and heads with which the form was opened. */
export function useFormDraft(form: FormName, typed: unknown, opened: unknown = null): void {
  const drafts = useContext(FormDraftsContext)
  const text = typed === null ? null : JSON.stringify({ opened, typed })
  useEffect(() => {
    if (text === null) drafts.clear(form)
    else drafts.save(form, JSON.parse(text))
  }, [drafts, form, text])
}
