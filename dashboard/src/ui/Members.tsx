import { UserPlus, X } from "lucide-react"
import { type FormEvent, useCallback, useEffect, useId, useState } from "react"
import { type Member, ROLES, type Role, readMembers, removeMember, setRole, toUserName } from "../sync/access"
import { ApiError } from "../sync/api"
import type { Session } from "../sync/session"

const ROLE_LABELS: Record<Role, string> = { viewer: "Can view", editor: "Can edit", owner: "Owner" }

interface Props {
  /** Id of the plan. */
  plan: string
  session: Session
  /** Called after each change of the rights. */
  onChanged: () => void
}

/** The people with a role in a plan, for its owners. */
export function Members({ plan, session, onChanged }: Props) {
  const [members, setMembers] = useState<readonly Member[] | null>(null)
  /** Why the list is not shown. */
  const [failure, setFailure] = useState<string | null>(null)
  const [status, setStatus] = useState("")
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const user = session.user

  const read = useCallback(async () => {
    setFailure(null)
    try {
      setMembers(await readMembers(plan))
    } catch (error) {
      setMembers(null)
      setFailure(describeFailure(error))
    }
  }, [plan])
  useEffect(() => {
    void read()
  }, [read])

  const change = async (work: () => Promise<void>, done: string): Promise<boolean> => {
    setBusy(true)
    setProblem("")
    setStatus("")
    let isDone = false
    try {
      await work()
      isDone = true
      setStatus(done)
      onChanged()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
    // Other owners change the list, too.
    await read()
    setBusy(false)
    return isDone
  }
  /** Asks before a change that may leave the plan, or this user, without an owner's rights. */
  const mayChange = (member: Member, role: Role | null): boolean => {
    if (member.role !== "owner" || role === "owner") return true
    const isLast = members?.filter(({ role }) => role === "owner").length === 1
    if (isLast)
      return window.confirm(
        `${member.name} is the only owner listed here. Only people with an owner account could then manage access. Continue?`,
      )
    return member.name !== user?.name || window.confirm("You will no longer be an owner of this plan. Continue?")
  }
  const onRole = (member: Member, role: Role) => {
    if (mayChange(member, role)) void change(() => setRole(plan, member.name, role), `${member.name}: ${ROLE_LABELS[role].toLowerCase()}.`)
  }
  const onRemove = (member: Member) => {
    if (mayChange(member, null)) void change(() => removeMember(plan, member.name), `${member.name} was removed.`)
  }
  const onAdd = async (text: string, role: Role): Promise<boolean> => {
    const name = toUserName(text, session.accounts)
    const existing = members?.find((member) => member.name === name)
    setStatus("")
    setProblem(
      name === "" ? "Enter the name or email of an account." : existing ? `${name} is in the list already. Change the role there.` : "",
    )
    return name !== "" && !existing && change(() => setRole(plan, name, role), `${name} was added: ${ROLE_LABELS[role].toLowerCase()}.`)
  }

  if (failure !== null)
    return (
      <div className="stack">
        <p role="alert">{failure}</p>
        <p>
          <button type="button" onClick={() => void read()}>
            Try again
          </button>
        </p>
      </div>
    )
  if (members === null) return <p role="status">Loading…</p>
  const isSelfListed = members.some(({ name }) => name === user?.name)
  // Without an owner's account, the server refuses to leave the plan without an owner.
  const isLastOwner = (member: Member) =>
    member.role === "owner" && user?.role !== "owner" && members.filter(({ role }) => role === "owner").length === 1
  return (
    <section className="stack" aria-label="People with access" aria-busy={isBusy}>
      <ul className="members">
        {user && !isSelfListed && (
          <li className="member">
            <span className="member-name">
              {user.name} <span className="fine">you, by your account</span>
            </span>
            <span className="fine">Owner</span>
          </li>
        )}
        {members.map((member) => (
          <li key={member.name} className="member">
            <span className="member-name">
              {member.name}{" "}
              <span className="fine">
                {[member.name === user?.name && "you", member.isCreator && "created the plan"].filter(Boolean).join(", ")}
              </span>
              {isLastOwner(member) && <span className="fine member-note">A plan needs an owner. Make somebody else an owner first.</span>}
            </span>
            <select
              aria-label={`Role of ${member.name}`}
              value={member.role}
              disabled={isBusy || isLastOwner(member)}
              onChange={(event) => onRole(member, event.target.value as Role)}
            >
              {ROLES.map((role) => (
                <option key={role} value={role}>
                  {ROLE_LABELS[role]}
                </option>
              ))}
            </select>
            <button
              type="button"
              className="icon"
              aria-label={`Remove ${member.name}`}
              title={`Remove ${member.name}`}
              disabled={isBusy || isLastOwner(member)}
              onClick={() => onRemove(member)}
            >
              <X aria-hidden />
            </button>
          </li>
        ))}
      </ul>
      <AddMember isBusy={isBusy} onAdd={onAdd} />
      <p role="alert" className="problem">
        {problem}
      </p>
      <p role="status" className="fine">
        {status}
      </p>
      <p className="fine">
        Owners can also share and delete the plan. People whose account already gives access to this plan are not listed. Somebody whose
        account can only view can never edit. The server does not check whether a name exists.
      </p>
    </section>
  )
}

function describeFailure(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error)
  if (error.status === 403) return "Only owners of this plan can see and change who has access."
  if (error.status === 404)
    return "The server does not have this plan yet, or you no longer have access. You can share it once it has synced."
  return error.message
}

interface AddProps {
  isBusy: boolean
  /** Resolves to whether the person was added. */
  onAdd: (name: string, role: Role) => Promise<boolean>
}

function AddMember({ isBusy, onAdd }: AddProps) {
  const [name, setName] = useState("")
  const [role, setNewRole] = useState<Role>("editor")
  const id = useId()
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (await onAdd(name, role)) setName("")
  }
  return (
    <form className="stack" onSubmit={(event) => void submit(event)} noValidate>
      <label htmlFor={id}>Add a person</label>
      <div className="input-row">
        <input
          id={id}
          placeholder="Name or email of the account"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <select aria-label="Role of the new person" value={role} onChange={(event) => setNewRole(event.target.value as Role)}>
          {ROLES.map((choice) => (
            <option key={choice} value={choice}>
              {ROLE_LABELS[choice]}
            </option>
          ))}
        </select>
        <button type="submit" className="primary" disabled={isBusy}>
          <UserPlus aria-hidden /> Add
        </button>
      </div>
    </form>
  )
}
