// Uses the client that openapi-typescript generates: log in, list, edit, export. With strict types, an error in the
// description fails to compile or fails here.

import assert from "node:assert/strict"
import createClient from "openapi-fetch"
import type { components, paths } from "./schema.js"

const { URL: baseUrl = "", EMAIL: email = "", PASSWORD: password = "" } = process.env

const client = createClient<paths>({ baseUrl })
const documentId = "default"

/** Returns the body of a successful answer. */
function ok<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): T {
  assert.ok(data !== undefined, `${response.url}: ${response.status} ${JSON.stringify(error)}`)
  return data
}

// Without a token, the server requires authentication.
const refused = await client.GET("/api/documents")
assert.equal(refused.response.status, 401)
assert.equal(refused.error?.type, "unauthorized")

const login = ok(await client.POST("/accounts/api/login/", { body: { email, password } }))
assert.ok(login.token)
client.use({
  onRequest({ request }) {
    request.headers.set("authorization", `Bearer ${login.token}`)
    return request
  },
})

const { user } = ok(await client.GET("/api/session"))
assert.ok(user)
const role: "viewer" | "editor" | "owner" = user.role
assert.equal(role, "owner")
const named: "*" | string[] = user.documents
assert.equal(named, "*")

const documents = ok(await client.GET("/api/documents"))
const opened = documents.filter((document): document is components["schemas"]["Document"] => !("error" in document))
assert.equal(opened[0]?.positions, 60)

const made = ok(
  await client.POST("/api/documents/{documentId}/positions", {
    params: { path: { documentId } },
    body: { designation: "UX developer", department: "Product", budget: 11.5, location: "Pune" },
  }),
)
const at = { path: { documentId, positionId: made.id } }
const before = await client.GET("/api/documents/{documentId}/positions/{positionId}", { params: at })
const tag = before.response.headers.get("etag") ?? ""
const changed = ok(
  await client.PATCH("/api/documents/{documentId}/positions/{positionId}", {
    params: { ...at, header: { "If-Match": tag } },
    body: { budget: 12 },
  }),
)
assert.equal(changed.budget, 12)
const late = await client.PATCH("/api/documents/{documentId}/positions/{positionId}", {
  params: { ...at, header: { "If-Match": tag } },
  body: { budget: 13 },
})
assert.equal(late.error?.status, 412)

const { positions } = ok(await client.GET("/api/documents/{documentId}/positions", { params: { path: { documentId } } }))
assert.equal(positions.length, 61)
const history = ok(
  await client.GET("/api/documents/{documentId}/history", {
    params: { path: { documentId }, query: { position: made.id, limit: 10 } },
  }),
)
assert.deepEqual(
  history.changes.map((change) => change.surface),
  ["api", "api"],
)

const exported = ok(await client.GET("/api/documents/{documentId}/export.json", { params: { path: { documentId } } }))
assert.equal(exported.positions.length, 61)
const csv: string = ok(
  await client.GET("/api/documents/{documentId}/export.csv", { params: { path: { documentId } }, parseAs: "text" }),
)
assert.ok(csv.includes("UX developer"))
const file = ok(
  await client.GET("/api/documents/{documentId}/export.automerge", { params: { path: { documentId } }, parseAs: "arrayBuffer" }),
)
// The magic bytes of every Automerge chunk.
assert.deepEqual([...new Uint8Array(file as ArrayBuffer).slice(0, 4)], [0x85, 0x6f, 0x4a, 0x83])

const removed = await client.DELETE("/api/documents/{documentId}/positions/{positionId}", { params: at })
assert.equal(removed.response.status, 204)
ok(await client.POST("/accounts/api/logout/"))
assert.equal((await client.GET("/api/documents")).response.status, 401)
