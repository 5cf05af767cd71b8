import { CircleUser, LogOut } from "lucide-react"
import { useId, useState } from "react"
import { validateAuthorName } from "../plan/author-name"
import type { Session } from "../sync/session"
import { Menu } from "./Menu"
import { readTheme, saveTheme, type Theme } from "./theme"

interface Props {
  session: Session
  name: string
  onName: (name: string) => void
  onLogout: () => void
}

const THEMES: { theme: Theme; label: string }[] = [
  { theme: "system", label: "System" },
  { theme: "light", label: "Light" },
  { theme: "dark", label: "Dark" },
]

/** The user, and the colour scheme. */
export function UserMenu({ session, name, onName, onLogout }: Props) {
  // The command palette sets the theme, too.
  const [, setChosen] = useState<Theme | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const id = useId()
  return (
    <Menu
      label={`Account: ${name || "no name"}`}
      className="user-menu"
      button={
        <>
          <CircleUser aria-hidden /> <span className="user-name">{name || "Your name"}</span>
        </>
      }
    >
      {(close) => (
        <div className="stack">
          {session.user ? (
            <p>
              {session.user.name}
              <br />
              <span className="fine">{session.user.role}</span>
            </p>
          ) : (
            <form
              className="stack"
              onSubmit={(event) => {
                event.preventDefault()
                const typed = String(new FormData(event.currentTarget).get("name") ?? "").trim()
                // Without a display name, changes carry a default author.
                const found = typed === "" ? null : validateAuthorName(typed)
                setProblem(found)
                if (found !== null) return
                onName(typed)
                close()
              }}
            >
              <label htmlFor={`${id}-name`}>Display name</label>
              <input
                id={`${id}-name`}
                name="name"
                defaultValue={name}
                autoComplete="name"
                aria-invalid={problem !== null}
                aria-describedby={problem ? `${id}-problem` : undefined}
              />
              <p role="alert" id={`${id}-problem`} className="problem">
                {problem}
              </p>
              <button type="submit">Save</button>
            </form>
          )}
          <fieldset className="themes">
            <legend>Theme</legend>
            {THEMES.map((choice) => (
              <label key={choice.theme}>
                <input
                  type="radio"
                  name="theme"
                  checked={readTheme() === choice.theme}
                  onChange={() => {
                    saveTheme(choice.theme)
                    setChosen(choice.theme)
                  }}
                />
                {choice.label}
              </label>
            ))}
          </fieldset>
          {session.user && (
            <button type="button" onClick={() => close(() => onLogout())}>
              <LogOut aria-hidden /> Log out
            </button>
          )}
        </div>
      )}
    </Menu>
  )
}
