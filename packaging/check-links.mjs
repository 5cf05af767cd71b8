// Checks that every relative link of a site leads to a file of it, and every anchor to an element of that page.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs"
import path from "node:path"

const site = path.resolve(process.argv[2])
const pages = readdirSync(site, { recursive: true }).filter(name => name.endsWith(".html")).map(name => path.join(site, name))
const texts = new Map(pages.map(page => [page, readFileSync(page, "utf8")]))

/** The file that a web server returns for a path. */
const fileAt = at => (existsSync(at) && statSync(at).isDirectory() ? path.join(at, "index.html") : at)

const broken = []
let checked = 0
for (const [page, text] of texts) {
  // Its links are relative to the page that was not found; print.html repeats the others.
  if (["404.html", "print.html"].includes(path.relative(site, page))) continue
  for (const [, link] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) continue
    const [target, anchor] = decodeURI(link).split("#")
    const file = target === "" ? page : fileAt(path.resolve(path.dirname(page), target))
    checked += 1
    const hasAnchor = () => !anchor || !texts.has(file) || texts.get(file).includes(`id="${anchor}"`)
    if (!existsSync(file) || !hasAnchor()) broken.push(`${path.relative(site, page)}: ${link}`)
  }
}
if (broken.length > 0 || checked === 0) {
  console.error([...new Set(broken)].join("\n") || "no link was found")
  process.exit(1)
}
console.log(`${checked} links of ${texts.size} pages lead somewhere`)
