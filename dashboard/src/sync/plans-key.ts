/** The key in `localStorage` of the list of plans of a user. */
import { STORAGE_PREFIX } from "./storage-prefix"

export const plansKey = (owner: string): string => `${STORAGE_PREFIX}.plans.${owner}`
