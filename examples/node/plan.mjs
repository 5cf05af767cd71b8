// Follows a plan with the stock automerge-repo client, or changes one budget:
//
//   node plan.mjs
//   node plan.mjs 28f6d1a4b9c073 42

import { Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

const { HAPPIERWORK_URL: server = "http://127.0.0.1:8000", HAPPIERWORK_USER: email, HAPPIERWORK_PASSWORD: password } = process.env

/** A new token, or none without HAPPIERWORK_USER, for a server without accounts. */
async function logIn() {
  if (!email) return undefined
  const body = JSON.stringify({ email, password })
  const response = await fetch(`${server}/accounts/api/login/`, { method: "POST", headers: { "content-type": "application/json" }, body })
  if (!response.ok) throw new Error(`login: ${response.status} ${(await response.json()).error}`)
  return (await response.json()).token
}

const syncUrl = token => `${server.replace(/^http/, "ws")}/sync${token ? `?token=${token}` : ""}`

const token = await logIn()
const adapter = new WebSocketClientAdapter(syncUrl(token), 1_000)
// The server closes the connection when the token expires. The adapter connects again after a second, then with a new token.
// Edits of the meantime are kept, and sent then.
adapter.on("peer-disconnected", async () => {
  try {
    adapter.url = syncUrl(await logIn())
  } catch (error) {
    console.error(String(error))
  }
})
const repo = new Repo({ network: [adapter] })

const headers = token ? { authorization: `Bearer ${token}` } : {}
const { id } = await (await fetch(`${server}/api/documents/default`, { headers })).json()
const plan = await repo.find(`automerge:${id}`)
console.log(plan.doc().name, Object.keys(plan.doc().positions).length, "positions")

const [position, budget] = process.argv.slice(2)
if (position) {
  // The heads that the server has on disk.
  plan.on("remote-heads", ({ heads }) => {
    if (String(heads) === String(plan.heads())) process.exit()
  })
  plan.change(doc => {
    Object.assign(doc.positions[position], { budget: Number(budget), updatedBy: email ?? "example", updatedAt: new Date() })
  })
} else {
  plan.on("change", ({ doc, patches }) => {
    for (const { path: [root, id, field] } of patches) {
      if (root === "positions" && field === "budget") console.log(doc.positions[id].designation, doc.positions[id].budget)
    }
  })
}
