/** Legacy clients and the dashboard on one plan. */
import { once } from "node:events"
import { WebSocket } from "ws"
import { expect, test } from "./support/plan"

/** A legacy WebSocket client, and the frames it received. */
async function legacy(port: number): Promise<{ socket: WebSocket; frames: unknown[] }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/dashboard/`)
  const frames: unknown[] = []
  socket.on("message", (data) => frames.push(JSON.parse(String(data))))
  await once(socket, "open")
  return { socket, frames }
}

/** The legacy page sends an array as a string within a string. */
const say = (socket: WebSocket, words: string[]): void => socket.send(JSON.stringify(JSON.stringify(words)))

test("a legacy client and the dashboard see each other's rows", async ({ server, ceo }) => {
  const { socket, frames } = await legacy(server.port)
  say(socket, ["add", "Legacy Clerk", "HR", "7", "Surat"])
  await expect(ceo.cell("Legacy Clerk", "budget")).toHaveText("7")

  await ceo.add("New Hand", "Sales", "12", "Delhi")
  await expect.poll(() => JSON.stringify(frames)).toContain("New Hand")
  await ceo.remove("Legacy Clerk")
  await expect.poll(() => JSON.stringify(frames)).toContain("deleted_id")
  socket.close()
})

test("users of the legacy page are shown", async ({ server, ceo }) => {
  const { socket } = await legacy(server.port)
  say(socket, ["login", "Accountant"])
  await expect(ceo.page.getByRole("list", { name: "Collaborators" }).getByText("Accountant, legacy page")).toHaveCount(1)
  socket.close()
  await expect(ceo.page.getByRole("list", { name: "Collaborators" }).getByText(/Accountant/)).toHaveCount(0)
})
