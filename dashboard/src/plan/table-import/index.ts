/** Import of tables from files and the clipboard. */
export { type DecodedFile, decodeFile } from "./decode-file"
export { findHeader } from "./header"
export { parseTable } from "./parse-table"
export type { ImportLine, ImportPreview, SkippedLine } from "./preview"
export { failedPreview } from "./preview"
