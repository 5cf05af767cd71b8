/** Tables that people drop or paste. */
export { type FileText, readFileText } from "./file-kind"
export type { Line, Preview, SkippedLine } from "./preview"
export { refusal } from "./preview"
export { readTable } from "./read-table"
