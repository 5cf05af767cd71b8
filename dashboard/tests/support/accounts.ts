/** A server with accounts: `ceo` owns all plans, `cfo` edits them, and `board` views them. */
import { test as base, type Person } from "./plan"
import { Server } from "./server"

export const PASSWORD = "correct horse battery"

export const test = base.extend<{ server: Server }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter
  server: async ({}, use) => {
    const server = await Server.start({ flags: [] })
    await server.kill()
    server.addUser("ceo", "owner", PASSWORD)
    server.addUser("cfo", "editor", PASSWORD)
    server.addUser("board", "viewer", PASSWORD)
    server.flags.push("--auth", server.auth)
    await server.up()
    await use(server)
    await server.close()
  },
})

export async function login({ page }: Person, url: string, name: string, password = PASSWORD): Promise<void> {
  await page.goto(url)
  await page.getByLabel("Username or email").fill(name)
  await page.getByLabel("Password").fill(password)
  await page.getByRole("button", { name: "Log in" }).click()
}
