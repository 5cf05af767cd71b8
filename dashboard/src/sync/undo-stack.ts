/**
 * The user's own actions, for undo and redo. Kept in this browser per plan and user, so that they survive a reload, and shared by all tabs.
 *
 * Only heads and ids are stored; the values are in the history of the document.
 */
import { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "../plan/edit"
import { type Action, type ActionPart, containedParts, type KeptPlace, revertPart, type Targets } from "../plan/undo"
import { planKey } from "./storage-keys"
import { nextTask } from "./tasks"

/** The labels of the actions that undo and redo would revert; `null` if there is none. */
export interface UndoState {
  undo: string | null
  redo: string | null
}

/** The result of undo or redo. */
export interface RevertedAction {
  label: string
  /** Something was reverted. */
  hasChanged: boolean
  kept: readonly KeptPlace[]
}

interface Stored {
  undo: Action[]
  redo: Action[]
  /** Actors of this user's pages, the latest last. */
  actors: string[]
}

const MAX_ACTIONS = 200
const MAX_ACTORS = 200
/** While a large action is written, it is saved this often. */
const SAVE_INTERVAL_MS = 1_000
/** Maximum length of the stored text. Browsers store about five million characters for a site. */
const MAX_LENGTH = 1_000_000

export class UndoStack {
  state: UndoState = { undo: null, redo: null }
  #stored: Stored
  #listeners = new Set<() => void>()
  #queue: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly plan: Plan,
    private readonly owner: string,
    private readonly id: string,
    /** Runs the many changes of a large action, while the page does not render each of them. */
    private readonly runBulk: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
  ) {
    this.#stored = this.#read()
    this.#publish()
    window.addEventListener("storage", this.#onStorage)
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    window.removeEventListener("storage", this.#onStorage)
    this.#listeners.clear()
  }

  /** Runs an edit and records it as one action. Returns the action; `null` if there is nothing to undo. */
  record<T>(label: string, edit: () => T, targets: (result: T) => Targets): { result: T; action: Action | null } {
    const { result, part } = this.#run(edit, targets)
    if (!part) return { result, action: null }
    const action = { label, parts: [part] }
    this.#save({ ...this.#stored, undo: [...this.#stored.undo, action], redo: [] })
    return { result, action }
  }

  /** The latest action with a label, as far as the document contains it; `null` if there is none. */
  find(label: string): Action | null {
    const action = this.#stored.undo.findLast((other) => other.label === label)
    return action ? { ...action, parts: containedParts(this.plan, action) } : null
  }

  /**
   * Runs the edits of one large action. Other tasks run between them. `onProgress` receives the number of finished edits, and stops the
   * action by returning `false`.
   */
  recordPortions(label: string, edits: readonly (() => Targets)[], onProgress: (done: number) => boolean = () => true): Promise<Action> {
    const write = async () => {
      let action: Action = { label, parts: [] }
      this.#save({ ...this.#stored, undo: [...this.#stored.undo, action], redo: [] })
      // Saving thousands of ids takes longer than an edit, so that it is not done after each of them.
      const save = () => this.#save(this.#stored)
      let savedAt = performance.now()
      window.addEventListener("pagehide", save)
      try {
        for (const [at, edit] of edits.entries()) {
          const { part } = this.#run(edit, (changed) => changed)
          if (part) action = this.#replace(action, { label, parts: [...action.parts, part] })
          if (performance.now() - savedAt > SAVE_INTERVAL_MS) {
            await nextTask()
            save()
            savedAt = performance.now()
          }
          if (!onProgress(at + 1)) break
          await nextTask()
        }
      } finally {
        window.removeEventListener("pagehide", save)
        save()
      }
      // What follows renders the whole list.
      await nextTask()
      return action
    }
    return this.#enqueue(() => this.runBulk(write))
  }

  /** Undoes the latest action; `null` if there is none. */
  undo(author: string): Promise<RevertedAction | null> {
    return this.#enqueue(async () => {
      const action = this.#latest("undo")
      return action && this.#undo(action, author)
    })
  }

  /** Undoes one action, not necessarily the latest. */
  undoAction(action: Action, author: string): Promise<RevertedAction> {
    return this.#enqueue(() => this.#undo(action, author))
  }

  /** Redoes the action that was undone last; `null` if there is none. */
  redo(author: string): Promise<RevertedAction | null> {
    return this.#enqueue(async () => {
      const action = this.#latest("redo")
      if (!action) return null
      this.#save({ ...this.#stored, redo: this.#stored.redo.filter((other) => !isSame(other, action)) })
      const { inverse, kept } = await this.#revert(action, "redid", author)
      if (inverse) this.#save({ ...this.#stored, undo: [...this.#stored.undo, inverse] })
      return { label: action.label, hasChanged: inverse !== null, kept }
    })
  }

  async #undo(action: Action, author: string): Promise<RevertedAction> {
    this.#save({ ...this.#stored, undo: this.#stored.undo.filter((other) => !isSame(other, action)) })
    const { inverse, kept } = await this.#revert(action, "undid", author)
    if (inverse) this.#save({ ...this.#stored, redo: [...this.#stored.redo, inverse] })
    return { label: action.label, hasChanged: inverse !== null, kept }
  }

  #revert(action: Action, verb: string, author: string): Promise<{ inverse: Action | null; kept: KeptPlace[] }> {
    const revert = () => this.#revertParts(action, verb, author)
    return action.parts.length > 1 ? this.runBulk(revert) : revert()
  }

  /** Reverts the parts of an action, the last one first. */
  async #revertParts({ label, parts }: Action, verb: string, author: string): Promise<{ inverse: Action | null; kept: KeptPlace[] }> {
    const kept: KeptPlace[] = []
    const inverse: ActionPart[] = []
    // If nothing has changed since the action, no place needs to be compared with what the action wrote.
    let isLatest = isContiguous(parts) && isSameHeads(this.plan.heads(), parts.at(-1)?.after ?? [])
    let left: UrlHeads | null = null
    for (const part of parts.toReversed()) {
      if (left) {
        await nextTask()
        isLatest &&= isSameHeads(this.plan.heads(), left)
      }
      const reverted = revertPart(this.plan, part, `${verb} ${label}`, author, this.#isOwn, isLatest)
      left = this.plan.heads()
      if (reverted.inverse) inverse.push(reverted.inverse)
      kept.push(...reverted.kept)
    }
    return { inverse: inverse.length > 0 ? { label, parts: inverse } : null, kept }
  }

  #run<T>(edit: () => T, targets: (result: T) => Targets): { result: T; part: ActionPart | null } {
    const before = this.plan.heads()
    const result = edit()
    const after = this.plan.heads()
    const { cells = {}, rows = [], settings = [], places = [], comments = [] } = targets(result)
    const isEmpty = [...Object.values(cells), rows, settings, places, comments].every((targets) => targets.length === 0)
    const isUnchanged = before.length === after.length && before.every((head) => after.includes(head))
    const rare = { ...(places.length > 0 && { places }), ...(comments.length > 0 && { comments }) }
    return { result, part: isEmpty || isUnchanged ? null : { before, after, cells, rows, settings, ...rare } }
  }

  /** Replaces an action without saving it. */
  #replace(action: Action, next: Action): Action {
    this.#stored = { ...this.#stored, undo: this.#stored.undo.map((other) => (other === action ? next : other)) }
    return next
  }

  /** Large actions, undo and redo run one after the other. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work)
    this.#queue = run.catch(() => undefined)
    return run
  }

  /** The latest action of a stack, as far as the document contains it. Actions that it does not contain are dropped. */
  #latest(kind: "undo" | "redo"): Action | null {
    const all = this.#stored[kind]
    for (let at = all.length - 1; at >= 0; at -= 1) {
      const action = all[at] as Action
      const parts = containedParts(this.plan, action)
      if (parts.length === 0) continue
      const contained = parts.length === action.parts.length ? action : { ...action, parts }
      if (at < all.length - 1 || contained !== action) this.#save({ ...this.#stored, [kind]: [...all.slice(0, at), contained] })
      return contained
    }
    if (all.length > 0) this.#save({ ...this.#stored, [kind]: [] })
    return null
  }

  /** Changes at earlier heads have an actor that begins with the actor of the page. */
  #isOwn = (actor: string): boolean => {
    const current = A.getActorId(this.plan.doc())
    return actor.startsWith(current) || this.#stored.actors.some((own) => actor.startsWith(own))
  }

  #read(): Stored {
    try {
      const found = JSON.parse(localStorage.getItem(planKey("undo", this.owner, this.id)) ?? "null") as Stored | null
      if (found && [found.undo, found.redo, found.actors].every(Array.isArray)) return found
    } catch {
      // Unreadable actions are dropped.
    }
    return { undo: [], redo: [], actors: [] }
  }

  #save({ undo, redo, actors }: Stored): void {
    const current = A.getActorId(this.plan.doc())
    const next: Stored = {
      undo: undo.slice(-MAX_ACTIONS),
      redo: redo.slice(-MAX_ACTIONS),
      actors: [...actors.filter((actor) => actor !== current), current].slice(-MAX_ACTORS),
    }
    let text = JSON.stringify(next)
    // The oldest actions are dropped first. The latest one is kept in memory in any case.
    while (text.length > MAX_LENGTH && next.undo.length + next.redo.length > 1) {
      if (next.undo.length > 1) next.undo.shift()
      else next.redo.shift()
      text = JSON.stringify(next)
    }
    this.#stored = next
    try {
      if (text.length <= MAX_LENGTH) localStorage.setItem(planKey("undo", this.owner, this.id), text)
      else localStorage.removeItem(planKey("undo", this.owner, this.id))
    } catch {
      // Without storage, undo lasts as long as the page.
    }
    this.#publish()
  }

  /** Another tab of the same user has saved its actions. */
  #onStorage = ({ key }: StorageEvent): void => {
    if (key !== planKey("undo", this.owner, this.id)) return
    this.#stored = this.#read()
    this.#publish()
  }

  #publish(): void {
    const { undo, redo } = this.#stored
    this.state = { undo: undo.at(-1)?.label ?? null, redo: redo.at(-1)?.label ?? null }
    for (const listener of this.#listeners) listener()
  }
}

/** Each part has heads of its own, so that two actions never share one. */
const isSame = (one: Action, other: Action): boolean => one === other || (one.parts.length > 0 && endOf(one) === endOf(other))
const endOf = ({ parts }: Action): string => parts.at(-1)?.after.join() ?? ""

const isSameHeads = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((head) => other.includes(head))

/** Whether each part of an action begins where the one before it ends. */
const isContiguous = (parts: readonly ActionPart[]): boolean =>
  parts.every(({ before }, at) => at === 0 || isSameHeads(before, parts[at - 1]?.after ?? []))
