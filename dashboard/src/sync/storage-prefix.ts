/**
 * Prefix of all names in browser storage. It contains the path of the page, as one origin can serve several servers below different paths.
 */
const prefix = typeof location === "undefined" ? "" : new URL(".", location.href).pathname.replace(/\/$/, "")

export const STORAGE_PREFIX = `happierwork${prefix}`
