import { STORAGE_PREFIX } from "./storage-prefix"

/** The name of the database of a user. */
export const databaseName = (owner: string): string => `${STORAGE_PREFIX}${owner === "" ? "" : `.${owner}`}`
