/**
 * Where the page is: at the root of an origin, or below a path prefix that a proxy takes away. Its own links are relative; what it keeps
 * in the browser is named after the prefix, as an origin may have several servers.
 */
const prefix = typeof location === "undefined" ? "" : new URL(".", location.href).pathname.replace(/\/$/, "")

/** The beginning of the names of everything that this page keeps in the browser. */
export const STORAGE_PREFIX = `happierwork${prefix}`
