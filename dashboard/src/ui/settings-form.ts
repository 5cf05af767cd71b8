/** The inputs of the dialog of settings. */
import { toEditText } from "../plan/format"
import type { Settings } from "../plan/schema"

/** The texts of the inputs, by name. */
export interface SettingTexts {
  name: string
  total: string
  currency: string
  unit: string
  yearStart: string
}

/** What the inputs show before something is typed. */
export const settingTexts = ({ name, totalBudget, currency, unit, yearStart }: Settings): SettingTexts => ({
  name,
  total: toEditText(totalBudget),
  currency,
  unit: String(unit),
  yearStart: yearStart ?? "",
})

/** The texts that the user has changed; `null` if there are none. `settings`: those with which the dialog was opened. */
export function changedTexts(settings: Settings, form: Iterable<[name: string, value: unknown]>): Partial<SettingTexts> | null {
  const before = new Map<string, string>(Object.entries(settingTexts(settings)))
  const changed = [...form].filter(([name, value]) => before.has(name) && value !== before.get(name))
  return changed.length > 0 ? Object.fromEntries(changed) : null
}
