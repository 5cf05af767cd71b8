import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { type AmountFormat, separatorsOf } from "../../src/plan/amount"
import { type DecodedFile, decodeFile, parseTable } from "../../src/plan/table-import"

const LAKH: AmountFormat = { currency: "INR", unit: 100_000, separators: { group: ",", decimal: "." } }
const fixture = (name: string) => {
  const read = decodeFile(new Uint8Array(readFileSync(`${import.meta.dirname}/../../../tests/fixtures/csv/${name}`)))
  if (!("text" in read)) throw new Error("not a text file")
  return parseTable(read.text, LAKH)
}
const taken = (text: string, scale = LAKH) =>
  parseTable(text, scale)
    .lines.filter(({ problem }) => problem === null)
    .map(({ position: { designation, department, budget, location } }) => [designation, department, budget, location])

describe("real tables", () => {
  it("blank lines before the header are skipped", () => {
    const { lines, problem } = fixture("blank-first-line.csv")
    expect(problem).toBeNull()
    expect(lines).toMatchObject([{ number: 4, problem: null, position: { designation: "Buyer", department: "Sales", budget: 5 } }])
  })

  it("two columns with the same name are rejected", () => {
    const { lines, problem } = fixture("duplicate-headers.csv")
    expect(problem).toBe("Two columns are called “title”. Rename or remove one of them.")
    expect(lines).toEqual([])
  })

  it("rows with more cells than columns are rejected", () => {
    const { lines } = fixture("extra-cells.csv")
    expect(lines.map(({ number, problem }) => [number, problem?.slice(0, 19)])).toEqual([
      [2, "5 cells, 4 columns."],
      [3, "6 cells, 4 columns."],
    ])
  })

  it("a quoted line break belongs to the column name", () => {
    const { lines, ignored, problem } = fixture("newline-in-header.csv")
    expect([problem, ignored]).toEqual([null, ["a\nb"]])
    expect(lines).toMatchObject([{ problem: null, position: { designation: "Cook", budget: 5 } }])
  })

  it("a missing budget column is noted", () => {
    const { lines, notes } = fixture("no-budget.csv")
    expect(notes).toEqual(["This table has no budget column. Budgets will be unknown."])
    expect(lines).toMatchObject([{ problem: null, position: { designation: "Buyer", budget: null } }])
  })

  it("one known column name is enough for a header", () => {
    const { lines, ignored } = fixture("one-known-header.csv")
    expect(ignored).toEqual(["description"])
    expect(lines).toMatchObject([{ number: 2, problem: null, position: { designation: "Buyer", department: "", budget: null } }])
  })

  it("padded names are kept as typed", () => {
    expect(fixture("padded.csv").lines.map(({ position }) => position.department)).toEqual(["Kitchen", "Kitchen ", " kitchen"])
  })

  it("a column of numbers is rejected", () => {
    const { lines, problem } = fixture("pasted-numbers.txt")
    expect(problem).toMatch(/^The table contains only numbers\./)
    expect(lines).toEqual([])
  })

  it("an annual salary is a budget, other columns are listed", () => {
    const { lines, ignored, notes } = fixture("payroll-export.csv")
    expect(lines).toMatchObject([
      { problem: null, position: { designation: "Business Development Representative", department: "Sales", budget: 43_900 } },
      { problem: null, position: { designation: "Customer Success Manager", department: "Customer Success", budget: 72_000 } },
    ])
    expect(ignored).toEqual(["Employee ID", "First Name", "Last Name", "Email Address", "Employment Status"])
    expect(notes).toEqual([])
  })

  it("a sep= line sets the separator", () => {
    const read = readFileSync(`${import.meta.dirname}/../../../tests/fixtures/csv/sep-line.csv`, "utf8")
    expect(taken(read, { ...LAKH, separators: separatorsOf("fr") })).toEqual([
      ["Accountant", "Finance", 12.5, "Lyon"],
      ["Cook", "Kitchen", 7, "Pune"],
    ])
    expect(parseTable(read, LAKH).lines[0]?.number).toBe(3)
  })

  it("titles and totals are skipped", () => {
    const { lines, skipped } = fixture("title-and-total.csv")
    expect(lines).toMatchObject([{ number: 4, problem: null, position: { designation: "Buyer" } }])
    expect(skipped).toEqual([
      { number: 1, reason: "comes before the header" },
      { number: 5, reason: "is a total" },
    ])
  })
})

describe("the separator", () => {
  it.each([",", ";", "\t", "|"])("%j is detected from the parsed table", (mark) => {
    const rows = [
      ["Job title", "Team", "Budget", "City"],
      ["Cook", "Kitchen", "7", "Pune"],
    ]
    expect(taken(rows.map((row) => row.join(mark)).join("\n"))).toEqual([["Cook", "Kitchen", 7, "Pune"]])
  })

  it.each(["\t", ";", "|"])("%j without a header wins over commas in cells", (mark) => {
    expect(taken([["Cook", "Kitchen", "12,50,000", "Pune"].join(mark), ["Chef", "Bar, Grill", "5"].join(mark)].join("\n"))).toEqual([
      ["Cook", "Kitchen", 1_250_000, "Pune"],
      ["Chef", "Bar, Grill", 5, ""],
    ])
  })

  it("other separators in quoted cells are ignored", () => {
    expect(taken('designation,department,budget\n"Cook; Chef; Host",Kitchen,1\n"a;b;c;d",Bar,2')).toEqual([
      ["Cook; Chef; Host", "Kitchen", 1, ""],
      ["a;b;c;d", "Bar", 2, ""],
    ])
  })

  it("quotation marks in pasted cells are text", () => {
    expect(taken('24" monitor tester\tLab\t5\tPune\n"Cook"\tKitchen\t6\tPune')[0]).toEqual(['24" monitor tester', "Lab", 5, "Pune"])
  })
})

describe("column names", () => {
  it.each([
    "Annual Salary",
    "Base Salary",
    "CTC",
    "C.T.C.",
    "Annual CTC",
    "Budget ₹",
    "Budget (INR)",
    "BUDGET_AMOUNT",
    "annualSalary",
    "Salary p.a.",
    "Salary (per annum)",
    "Budget FY27",
    "Cost to company",
    "Total Compensation:",
    "Compensation",
    "Budget in lakhs",
    "CTC (LPA)",
    "₹ lakh",
    "Budget [₹ lakh]",
  ])("%j is a budget in lakh", (head) => expect(taken(`Job title;${head}\nCook;12.5`)).toEqual([["Cook", "", 12.5, ""]]))

  it.each([
    "Position Title",
    "Job Role",
    "job_title",
    "jobTitle",
    "JOB TITLE *",
    "Designation:",
    "Title",
    "Position/Role",
    "Job title (current)",
  ])("%j is a designation", (head) =>
    expect(taken(`${head};Dept.;Office Location\nCook;Kitchen;Pune`)).toEqual([["Cook", "Kitchen", null, "Pune"]]),
  )

  it.each(["Position ID", "Role number", "Job code", "Departmental budget owner", "Salary grade", "Budget code"])(
    "%j is not a field",
    (head) => {
      expect(parseTable(`Designation;${head}\nCook;5`, LAKH).ignored).toEqual([head])
    },
  )

  it.each([
    ["Budget (crore)", 125],
    ["Budget Cr.", 125],
    ["Salary in thousands", 0.0125],
    ["Salary ('000)", 0.0125],
    ["Cost (₹ million)", 12.5],
  ])("the unit of %j applies", (head, budget) => {
    expect(taken(`Job title;${head}\nCook;1.25`)[0]?.[2]).toBe(budget)
    expect(parseTable(`Job title;${head}\nCook;1.25`, LAKH).notes[0]).toContain("amounts are converted to lakh")
  })

  it("the unit of an amount wins over the unit of its column", () => {
    expect(taken("Job title;Budget (crore)\nCook;8 lakh\nChef;INR 2\nHost;1e-2")).toEqual([
      ["Cook", "", 8, ""],
      ["Chef", "", 200, ""],
      ["Host", "", 1, ""],
    ])
  })

  it("a column in another currency rejects the table", () => {
    const { lines, problem } = parseTable("Job title;Salary (USD)\nCook;5", LAKH)
    expect([lines, problem]).toEqual([[], "“Salary (USD)” is not in INR, the currency of this plan. Convert the amounts first."])
  })

  it.each(["Salary (k)", "Monthly salary", "Salary per month", "Hourly pay"])("%j is rejected with a reason", (head) => {
    const { lines, notes, ignored } = parseTable(`Job title;${head}\nCook;5`, LAKH)
    expect(lines[0]?.position.budget).toBeNull()
    expect(ignored).toEqual([head])
    expect(notes).toHaveLength(2)
    expect(notes[0]).toContain(`“${head}”`)
  })

  it("the most specific of two columns is imported", () => {
    const { lines, ignored } = parseTable("Title,Salary,Notes,Cost,Job title\nMs,5,x,7,Cook", LAKH)
    expect(lines[0]?.position).toMatchObject({ designation: "Cook", budget: 5 })
    expect(ignored).toEqual(["Title", "Notes", "Cost"])
  })

  it("two equally specific columns are rejected", () => {
    expect(parseTable("Title,Budget FY26,Budget FY27\nCook,5,6", LAKH).problem).toBe(
      "“Budget FY26” and “Budget FY27” both contain the budget. Rename or remove one of them.",
    )
  })

  it("a table without a designation is rejected", () => {
    expect(parseTable("budget,location\n1,Pune", LAKH).problem).toBe(
      "No column is recognized as the designation. Rename one of “budget”, “location” to “Designation” or “Job title”.",
    )
    expect(parseTable("Stelle;Abteilung;Gehalt;Ort\nKoch;Küche;5;Bonn\nKellner;Saal;6;Bonn", LAKH).problem).toContain(
      "“Stelle”, “Abteilung”",
    )
  })

  it("a repeated header is skipped", () => {
    const { lines, skipped } = parseTable("title,budget\nCook,1\ntitle,budget\nChef,2", LAKH)
    expect(lines.map(({ position }) => position.designation)).toEqual(["Cook", "Chef"])
    expect(skipped).toEqual([{ number: 3, reason: "repeats the header" }])
  })
})

describe("lines", () => {
  it.each(["Total", "TOTAL:", "Grand total", "Subtotal", "Sub-total", "Sum", "Total budget", "Engineering total"])(
    "%j is a total",
    (name) => {
      const { lines, skipped } = parseTable(`title,department,budget,city\nCook,Kitchen,1,Pune\n${name},,5,\n,${name},5,`, LAKH)
      expect(lines).toHaveLength(1)
      expect(skipped.map(({ reason }) => reason)).toEqual(["is a total", "is a total"])
    },
  )

  it("a designation may contain the word", () => {
    expect(taken("title,department,budget\nTotal Rewards Manager,HR,5\nSummer intern,HR,1")).toHaveLength(2)
  })

  it("each invalid line names the field and the reason", () => {
    const { lines } = parseTable("designation,budget\nCook,3\n,4\nWaiter,many\nClerk,-1\n\nHost,USD 5\n\u200b,5", LAKH)
    expect(lines.map(({ number, problem }) => [number, problem])).toEqual([
      [2, null],
      [3, "Designation: A position needs a designation."],
      [4, expect.stringMatching(/^Budget: “many” is not an amount/)],
      [5, "Budget: A budget cannot be negative."],
      [7, expect.stringMatching(/^Budget: .* is in USD, but this plan is in INR\.$/)],
      [8, "Designation: A position needs a designation."],
    ])
  })

  it.each(["", " ", "-", "–", "—"])("the budget %j is unknown, not 0", (budget) => {
    expect(taken(`title;budget\nCook;${budget}`)).toEqual([["Cook", "", null, ""]])
  })

  it("blank cells after the last column are ignored", () => {
    expect(taken("title,budget,,\nCook,5,, ")).toEqual([["Cook", "", 5, ""]])
    expect(parseTable("title,budget,,\nCook,5,,x", LAKH).lines[0]?.problem).toContain("4 cells, 2 columns")
  })

  it("a table without a header has the default columns", () => {
    expect(parseTable("Cook\tKitchen\t5\tPune", LAKH).lines).toMatchObject([
      { number: 1, problem: null, position: { designation: "Cook", department: "Kitchen", budget: 5, location: "Pune" } },
    ])
    expect(taken("Cook\nHead chef")).toEqual([
      ["Cook", "", null, ""],
      ["Head chef", "", null, ""],
    ])
  })

  it.each(["Cook\t5\nChef\t6", "1\tCook\tKitchen\t5", "Cook\tKitchen\tPune\t5"])("%j is not guessed", (text) => {
    const { lines, problem } = parseTable(text, LAKH)
    expect(lines).toEqual([])
    expect(problem).toContain("Add a header row")
  })

  it("too many lines are rejected", () => {
    const { lines, problem } = parseTable(`title\n${"Cook\n".repeat(20_001)}`, LAKH)
    expect(lines).toEqual([])
    expect(problem).toMatch(/^The table has more than 20.000 positions\./)
  })

  it.each([
    ["", "The table is empty."],
    [" \n;;", "The table is empty."],
    ["designation,budget\n", "The table has a header but no positions."],
    ['designation,budget\n"Cook,1', "Line 2 has a quotation mark that is never closed."],
    ['designation,budget\n"Cook" x,1', "Line 2 has a quotation mark in the middle of a cell. Write it twice, or remove it."],
  ])("%j is explained", (text, problem) => expect(parseTable(text, LAKH).problem).toBe(problem))
})

describe("file types", () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  const utf16 = (text: string, mark: boolean, isBig = false) => {
    const units = [...(mark ? "\ufeff" : ""), ...text].map((letter) => letter.charCodeAt(0))
    return new Uint8Array(units.flatMap((unit) => (isBig ? [unit >> 8, unit & 255] : [unit & 255, unit >> 8])))
  }
  const zip = (names: string) => bytes(`PK\u0003\u0004${names}`)
  const problem = (read: DecodedFile) => ("problem" in read ? read.problem : null)

  it.each([
    ["a binary workbook (.xlsb)", zip("[Content_Types].xml xl/workbook.bin")],
    ["an OpenDocument spreadsheet (.ods)", zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet")],
    ["a Numbers document", zip("Index/Document.iwa")],
    ["a ZIP archive", zip("word/document.xml")],
    ["a workbook of an older kind (.xls)", new Uint8Array([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0])],
    ["a PDF", bytes("%PDF-1.7\n")],
    ["a web page", bytes("<html><table><tr><td>title</td></tr></table>")],
    ["an XML file", bytes('<?xml version="1.0"?><Workbook/>')],
    ["a JSON file", bytes('[\n  {"designation": "Cook"}]')],
    ["a text document (RTF)", bytes("{\\rtf1 title}")],
    ["UTF-16 text without a byte order mark", utf16("title;budget\nCook;5", false)],
    ["UTF-16 text without a byte order mark", utf16("title;budget\nCook;5", false, true)],
    ["UTF-32 text", new Uint8Array([0xff, 0xfe, 0, 0, 0x74, 0, 0, 0])],
    ["not a text file", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13])],
    ["not a text file", new Uint8Array([0x1f, 0x8b, 8, 0, 1, 2, 3])],
    ["not a text file", bytes("title\u0001;budget")],
    ["damaged UTF-16", new Uint8Array([0xff, 0xfe, 0x00, 0xd8, 0x41, 0x00])],
  ])("%s is detected and rejected", (kind, content) => expect(problem(decodeFile(content))).toContain(kind))

  it("a rejected workbook comes with advice", () => {
    const advice = "Save it as an Excel workbook (.xlsx) or as CSV (UTF-8) and drop that file."
    expect(problem(decodeFile(zip("xl/workbook.bin")))).toContain(advice)
  })

  it("an Excel workbook is recognized by its content", () => {
    const content = zip("[Content_Types].xml xl/workbook.xml")
    expect(decodeFile(content)).toEqual({ workbook: content })
  })

  it("UTF-16 with a byte order mark is decoded", () => {
    for (const isBig of [false, true]) expect(decodeFile(utf16("titlé;budget", true, isBig))).toEqual({ text: "titlé;budget", notes: [] })
  })

  it("UTF-8 is decoded with and without a byte order mark", () => {
    expect(decodeFile(bytes("\ufeffKüche 日本 🍳"))).toEqual({ text: "Küche 日本 🍳", notes: [] })
    expect(decodeFile(bytes("Küche 日本 🍳"))).toEqual({ text: "Küche 日本 🍳", notes: [] })
  })

  it("Windows-1252 is decoded with a note", () => {
    const read = decodeFile(new Uint8Array([...bytes("title\nK"), 0xfc, ...bytes("che\nCaf"), 0xe9]))
    expect(read).toMatchObject({ text: "title\nKüche\nCafé" })
    expect("notes" in read && read.notes[0]).toContain("Windows-1252. Check “Küche”, “Café”.")
  })

  it("bytes of no known encoding are rejected", () => {
    for (const odd of [[0x81], [0x8d, 0xe9], [0xb1, 0xb6, 0xa4, 0xac]])
      expect(problem(decodeFile(new Uint8Array([...bytes("title\n"), ...odd])))).toContain("The encoding of the file is unknown.")
  })
})
