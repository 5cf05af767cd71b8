/** Shifts of dates by months. */

/** Longest shift: a century. */
const MAX_MONTHS = 1_200

/** Parses a typed number of months: `3`, `-2`, `+1 month`. */
export function parseMonthShift(text: string): { value: number } | { problem: string } {
  const [, sign = "", digits = ""] = /^\s*([-+\u2010-\u2015\u2212\ufe63\uff0d\uff0b]?)\s*(\d{1,6})\s*(?:months?|m)?\s*$/iu.exec(text) ?? []
  if (digits === "") return { problem: "Enter a number of months, such as 3 or -2." }
  const months = Number(digits)
  if (months > MAX_MONTHS) return { problem: `Shift by at most ${MAX_MONTHS.toLocaleString()} months.` }
  return { value: sign === "" || sign === "+" || sign === "\uff0b" ? months : -months || 0 }
}
