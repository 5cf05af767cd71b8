/**
 * What a user has typed into an open form. Kept in this tab until the form is closed, so that it survives a reload. Other tabs have forms of
 * their own.
 */
import { STORAGE_PREFIX } from "./storage-prefix"
import { storeTabItem } from "./stored-items"

/** The forms of a plan. */
export type FormName = "add" | "bulk" | "budgets" | "settings" | "column"

export interface FormDraft {
  /**
   * The values and heads with which the form was opened: what others have changed since becomes a conflict, also after a reload. `null` for forms
   * that show what is in the plan now.
   */
  opened: unknown
  typed: unknown
}

export interface FormDrafts {
  /** `null` if nothing was typed. */
  read: (form: FormName) => FormDraft | null
  save: (form: FormName, draft: FormDraft) => void
  /** The form was closed. */
  clear: (form: FormName) => void
}

/** Forms of pages without a plan are not kept. */
export const NO_DRAFTS: FormDrafts = { read: () => null, save: () => undefined, clear: () => undefined }

const PREFIX = `${STORAGE_PREFIX}.form.`

/** The forms of a plan. `owner`: owner of the local data. Without storage, a text lasts as long as its form. */
export function formDrafts(owner: string, plan: string): FormDrafts {
  const keyOf = (form: FormName) => `${PREFIX}${JSON.stringify([owner, plan, form])}`
  return {
    read: (form) => {
      try {
        const draft = JSON.parse(sessionStorage.getItem(keyOf(form)) ?? "null") as Partial<FormDraft> | null
        return draft?.typed === undefined ? null : { opened: draft.opened ?? null, typed: draft.typed }
      } catch {
        return null
      }
    },
    save: (form, draft) => void storeTabItem(keyOf(form), JSON.stringify(draft)),
    clear: (form) => void storeTabItem(keyOf(form), null),
  }
}

/**
 * Removes the texts of all users from this tab, after a logout. They stay if only the session has ended: the user logs in again and goes on
 * typing. Another user does not see them.
 */
export function removeFormDrafts(): void {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key)
  } catch {
    // There is no storage.
  }
}
