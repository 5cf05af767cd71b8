/** Detects the type of a file and decodes text files. */

/** Text with notes for the user, or why a file is rejected. */
export type DecodedText = { text: string; notes: string[] } | { problem: string }

/** Text, a workbook (`.xlsx`), or why a file is rejected. */
export type DecodedFile = DecodedText | { workbook: Uint8Array }

const SAVE_AS_XLSX = "Save it as an Excel workbook (.xlsx) or as CSV (UTF-8) and drop that file."
export const ENCRYPTED = "The workbook is protected by a password. Save a copy without a password and import that."
const SAVE_AS_CSV = "Save the sheet as CSV (UTF-8) and drop that file."
const EXPORT_AS_CSV = "Export the table as CSV (UTF-8) and drop that file."
/** Number of bytes searched for file signatures. */
const SIGNATURE_BYTES = 4_096
/** Maximum number of words quoted in a note. */
const MAX_QUOTED = 5

const startsWith = (bytes: Uint8Array, ...mark: number[]): boolean => mark.every((byte, at) => bytes[at] === byte)
const decodeLatin1 = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes)

/** Detects the type by content, not by file name. */
export function decodeFile(bytes: Uint8Array): DecodedFile {
  const problem = detectBinary(bytes)
  if (problem === "workbook") return { workbook: bytes }
  if (problem !== null) return { problem }
  const decoded = decode(bytes)
  if ("problem" in decoded) return decoded
  const other = detectOtherText(decoded.text)
  return other === null ? decoded : { problem: other }
}

/** `workbook`, or why binary data is rejected; `null` for other files. */
function detectBinary(bytes: Uint8Array): string | null {
  const head = decodeLatin1(bytes.subarray(0, SIGNATURE_BYTES))
  if (startsWith(bytes, 0x50, 0x4b, 0x03, 0x04) || startsWith(bytes, 0x50, 0x4b, 0x05, 0x06)) return describeZip(bytes, head)
  if (startsWith(bytes, 0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1))
    // A protected workbook is in the container of older programs.
    return isEncrypted(bytes) ? ENCRYPTED : `This is a workbook of an older kind (.xls). ${SAVE_AS_XLSX}`
  if (head.trimStart().startsWith("%PDF-"))
    return "This is a PDF, not a CSV file. Export the table as CSV from the program that created it."
  if (head.startsWith("{\\rtf")) return `This is a text document (RTF), not a CSV file. ${EXPORT_AS_CSV}`
  return null
}

/** Whether the directory of a container lists encrypted content. Its names are UTF-16. */
const isEncrypted = (bytes: Uint8Array): boolean => decodeLatin1(bytes).includes([..."EncryptedPackage"].join("\0"))

function describeZip(bytes: Uint8Array, head: string): string {
  if (head.includes("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"))
    return `This is an OpenDocument spreadsheet (.ods). ${SAVE_AS_XLSX}`
  // A ZIP archive lists its files at the end.
  const names = head + decodeLatin1(bytes.subarray(-65_536))
  if (/xl\/workbook\.bin/.test(names)) return `This is a binary workbook (.xlsb). ${SAVE_AS_XLSX}`
  if (/xl\/(workbook|worksheets)/.test(names)) return "workbook"
  if (/Index\/[\w/-]*\.iwa|Index\.zip/.test(names)) return `This is a Numbers document, not a CSV file. ${EXPORT_AS_CSV}`
  return `This is a ZIP archive or a document of another program, not a CSV file. ${EXPORT_AS_CSV}`
}

function decode(bytes: Uint8Array): DecodedText {
  if (startsWith(bytes, 0xff, 0xfe, 0, 0) || startsWith(bytes, 0, 0, 0xfe, 0xff))
    return { problem: `The file is UTF-32 text. ${SAVE_AS_CSV}` }
  if (startsWith(bytes, 0xff, 0xfe))
    return decodeStrict(bytes, "utf-16le") ?? { problem: `The file is damaged UTF-16 text. ${SAVE_AS_CSV}` }
  if (startsWith(bytes, 0xfe, 0xff))
    return decodeStrict(bytes, "utf-16be") ?? { problem: `The file is damaged UTF-16 text. ${SAVE_AS_CSV}` }
  if (bytes.includes(0)) return { problem: isUtf16(bytes) ? `The file is UTF-16 text without a byte order mark. ${SAVE_AS_CSV}` : BINARY }
  const text = decodeStrict(bytes, "utf-8") ?? decodeWindows1252(bytes)
  return "text" in text && CONTROLS.test(text.text) ? { problem: BINARY } : text
}

const BINARY = `This is not a text file. ${SAVE_AS_CSV}`
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters identify binary files
const CONTROLS = /[\0-\x08\x0e-\x1a\x1c-\x1f]/

/** `null`: the bytes are not valid in this encoding. */
function decodeStrict(bytes: Uint8Array, encoding: string): { text: string; notes: string[] } | null {
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
    return text.includes("\0") ? null : { text, notes: [] }
  } catch {
    return null
  }
}

/** Whether every other byte is mostly zero, as in UTF-16 of Latin letters. */
function isUtf16(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, SIGNATURE_BYTES)
  const zeros = [0, 0]
  for (const [at, byte] of head.entries()) if (byte === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1
  const [even = 0, unusual = 0] = zeros
  return Math.max(even, unusual) * 4 > head.length && Math.min(even, unusual) * 8 < Math.max(even, unusual)
}

/**
 * Decodes text of older Windows spreadsheets. The encoding cannot be detected with certainty, so a note quotes the words that depend on it.
 * Undefined bytes and unusual characters reject the file.
 */
function decodeWindows1252(bytes: Uint8Array): DecodedText {
  const text = new TextDecoder("windows-1252").decode(bytes)
  const rejected = { problem: `The encoding of the file is unknown. ${SAVE_AS_CSV}` }
  // Undefined bytes decode to control characters.
  if (/[\x80-\x9f]/.test(text)) return rejected
  const nonAscii = text.match(/[^\0-\x7f]/g) ?? []
  const unusual = nonAscii.filter((letter) => !/[\p{L}\u00a0€£¥§°·–—‘’“”„…•«»½¼¾²³ªº&]/u.test(letter))
  if (unusual.length * 4 > nonAscii.length) return rejected
  const words = [...new Set(text.match(/[\p{L}\p{M}'’-]*[^\0-\x7f][\p{L}\p{M}'’-]*/gu))]
  const quoted = words.slice(0, MAX_QUOTED).map((word) => `“${word.slice(0, 40)}”`)
  const more = words.length > MAX_QUOTED ? ` and ${words.length - MAX_QUOTED} more` : ""
  const note = `The file is not UTF-8 and was read as Windows-1252. Check ${quoted.join(", ")}${more}. If they are wrong, save the sheet as CSV (UTF-8).`
  return { text, notes: [note] }
}

/** Text formats that are not CSV. */
function detectOtherText(text: string): string | null {
  const head = text
    .slice(0, SIGNATURE_BYTES)
    .replace(/^\ufeff/, "")
    .trimStart()
    .toLowerCase()
  if (/^<(!doctype html|html|table|head|body|meta)\b/.test(head)) return `This is a web page, not a CSV file. ${SAVE_AS_CSV}`
  if (head.startsWith("<?xml")) return `This is an XML file, not a CSV file. ${SAVE_AS_CSV}`
  if (/^(\[\s*)?\{\s*"/.test(head)) return "This is a JSON file, not a CSV file. Import it on the server with `happierwork import`."
  return null
}
