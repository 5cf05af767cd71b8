/**
 * What a user has typed into an open form. Kept in this tab until the form is closed, so that it survives a reload. Other tabs have forms of
 * their own.
 */
import { STORAGE_PREFIX } from "./storage-prefix"

/** The forms of a plan. */
export type FormName = "add" | "bulk" | "budgets" | "settings" | "column"

export interface FormDrafts {
  /** `null` if nothing was typed. */
  read: (form: FormName) => unknown
  save: (form: FormName, typed: unknown) => void
  /** The form was closed. */
  clear: (form: FormName) => void
}

/** Forms of pages without a plan are not kept. */
export const NO_DRAFTS: FormDrafts = { read: () => null, save: () => undefined, clear: () => undefined }

const PREFIX = `${STORAGE_PREFIX}.form.`

/** The forms of a plan. `owner`: owner of the local data. */
export function formDrafts(owner: string, plan: string): FormDrafts {
  const keyOf = (form: FormName) => `${PREFIX}${JSON.stringify([owner, plan, form])}`
  return {
    read: (form) => {
      try {
        return JSON.parse(sessionStorage.getItem(keyOf(form)) ?? "null") as unknown
      } catch {
        return null
      }
    },
    save: (form, typed) => {
      try {
        sessionStorage.setItem(keyOf(form), JSON.stringify(typed))
      } catch {
        // Without storage, the text lasts as long as the form.
      }
    },
    clear: (form) => {
      try {
        sessionStorage.removeItem(keyOf(form))
      } catch {
        // There is no storage.
      }
    },
  }
}

/** Removes the texts of all users from this tab, after a logout. */
export function removeFormDrafts(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key)
}
