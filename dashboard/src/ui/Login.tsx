import { type FormEvent, useId, useState } from "react"
import { keepAddress, login, PROVIDER_LOGIN, providerFailure } from "../sync/session"
import { Logo } from "./Logo"

interface Props {
  hasAccounts: boolean
  /** Name of the identity provider; `null` without one. */
  provider: string | null
}

/** Login form. */
export function Login({ hasAccounts, provider }: Props) {
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const id = useId()

  if (!hasAccounts && provider === null) {
    return (
      <main className="alone">
        <Logo />
        <h1>This server has no accounts</h1>
        <p>
          Its operator can create the first one with the link in the log, or with the command <code>happierwork user add</code>.
        </p>
      </main>
    )
  }

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(null)
    const answer = await login(String(form.get("email")), String(form.get("password")))
    if (answer.ok) return location.reload()
    setProblem(answer.reason)
    setBusy(false)
  }

  const logInByProvider = () => {
    keepAddress(location.hash)
    location.assign(PROVIDER_LOGIN)
  }

  const form = (
    <form onSubmit={submit} className="stack">
      <label htmlFor={`${id}-name`}>Username or email</label>
      <input id={`${id}-name`} name="email" autoComplete="username" required autoCapitalize="none" spellCheck={false} />
      <label htmlFor={`${id}-password`}>Password</label>
      <input id={`${id}-password`} name="password" type="password" autoComplete="current-password" required />
      <p role="alert" className="problem">
        {problem}
      </p>
      <button type="submit" className={provider === null ? "primary" : ""} disabled={isBusy}>
        {isBusy ? "Logging in…" : "Log in"}
      </button>
    </form>
  )

  return (
    <main className="alone">
      <Logo />
      <h1>Log in</h1>
      {provider !== null && (
        <div className="stack">
          <button type="button" className="primary" onClick={logInByProvider}>
            Log in with {provider}
          </button>
          <p role="alert" className="problem">
            {problem === null && providerFailure(location.hash)}
          </p>
        </div>
      )}
      {hasAccounts && form}
    </main>
  )
}
