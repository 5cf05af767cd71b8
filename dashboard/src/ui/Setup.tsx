import { type FormEvent, useId, useState } from "react"
import { login, setUp } from "../sync/session"
import { Logo } from "./Logo"

/** Form for the first account of a server, which the link in its startup message opens. */
export function Setup({ code }: { code: string }) {
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const id = useId()

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const [name, password] = [String(form.get("name")), String(form.get("password"))]
    if (password !== String(form.get("repeated"))) return setProblem("The passwords differ.")
    setBusy(true)
    setProblem(null)
    const created = await setUp(code, name, password)
    const answer = created.ok ? await login(name, password) : created
    if (answer.ok) return location.replace(location.pathname + location.search)
    setProblem(answer.reason)
    setBusy(false)
  }

  return (
    <main className="alone">
      <Logo />
      <h1>Create the first account</h1>
      <p>It is an owner of all plans. It can invite others, and the operator can add accounts.</p>
      <form onSubmit={submit} className="stack">
        <label htmlFor={`${id}-name`}>Username or email</label>
        <input id={`${id}-name`} name="name" autoComplete="username" required maxLength={200} autoCapitalize="none" spellCheck={false} />
        <label htmlFor={`${id}-password`}>Password</label>
        <input id={`${id}-password`} name="password" type="password" autoComplete="new-password" required minLength={8} />
        <label htmlFor={`${id}-repeated`}>Repeat the password</label>
        <input id={`${id}-repeated`} name="repeated" type="password" autoComplete="new-password" required minLength={8} />
        <p role="alert" className="problem">
          {problem}
        </p>
        <button type="submit" className="primary" disabled={isBusy}>
          {isBusy ? "Creating…" : "Create account"}
        </button>
      </form>
    </main>
  )
}
