import { type AutomergeUrl, IndexedDBStorageAdapter, Repo, RepoContext, useDocument, WebSocketClientAdapter } from "@automerge/react"
import { Suspense } from "react"
import { createRoot } from "react-dom/client"

interface Plan { name: string; positions: Record<string, { designation: string; budget?: number }> }

function Budgets({ url }: { url: AutomergeUrl }) {
  const [plan, change] = useDocument<Plan>(url, { suspense: true })
  return Object.entries(plan.positions).map(([id, { designation, budget }]) => (
    <label key={id} style={{ display: "block" }}>
      {designation} <input type="number" value={budget ?? ""} onChange={({ target: { valueAsNumber: value } }) => change(doc => {
        const position = doc.positions[id]
        if (position && Number.isNaN(value)) delete position.budget   // an unknown budget
        else if (position) position.budget = value
      })} />
    </label>
  ))
}

const network = [new WebSocketClientAdapter(`${location.origin.replace("http", "ws")}/sync`)]
const repo = new Repo({ network, storage: new IndexedDBStorageAdapter() })
const { id }: { id: string } = await (await fetch("/api/documents/default")).json()
createRoot(document.getElementById("root")!).render(
  <RepoContext.Provider value={repo}>
    <Suspense fallback="Loading…"><Budgets url={`automerge:${id}` as AutomergeUrl} /></Suspense>
  </RepoContext.Provider>,
)
