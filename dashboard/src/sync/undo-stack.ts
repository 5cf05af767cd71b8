/**
 * The user's own actions, for undo and redo. Kept in this browser per plan and user, so that they survive a reload, and shared by all tabs.
 *
 * Only heads and ids are stored; the values are in the history of the document.
 */
import { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "../plan/edit"
import { newId } from "../plan/id"
import { type Action, type ActionPart, containedParts, type KeptPlace, revertPart, type Targets } from "../plan/undo"
import { planKey } from "./storage-keys"
import { protectUndoStack, releaseUndoStack, storeItem } from "./stored-items"
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

type Kind = "undo" | "redo"

interface Stored {
  undo: Action[]
  redo: Action[]
  /** Actors of this user's pages, the latest last. */
  actors: string[]
}

const MAX_ACTIONS = 200
const MAX_ACTORS = 200
/** While a large action is written or reverted, it is saved this often. */
const SAVE_INTERVAL_MS = 1_000
/** Maximum length of the stored text. Browsers store about five million characters for a site. */
const MAX_LENGTH = 1_000_000

export class UndoStack {
  state: UndoState = { undo: null, redo: null }
  #key: string
  #stored: Stored
  /**
   * The actions that are being written or reverted, as far as they have come, by stack. One without parts is not on its stack. They are kept apart,
   * because the stacks of other tabs have them as they were saved last.
   */
  #running: Partial<Record<Kind, Action>> = {}
  #listeners = new Set<() => void>()
  #queue: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly plan: Plan,
    owner: string,
    id: string,
    /** Runs the many changes of a large action, while the page does not render each of them. */
    private readonly runBulk: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
  ) {
    this.#key = planKey("undo", owner, id)
    protectUndoStack(this.#key)
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
    releaseUndoStack(this.#key)
    this.#listeners.clear()
  }

  /** Runs an edit and records it as one action. Returns the action; `null` if there is nothing to undo. */
  record<T>(label: string, edit: () => T, targets: (result: T) => Targets): { result: T; action: Action | null } {
    const { result, part } = this.#run(edit, targets)
    if (!part) return { result, action: null }
    const action = { id: newId(), label, parts: [part] }
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
    const write = async (saveIfDue: () => Promise<void>) => {
      let action: Action = { id: newId(), label, parts: [] }
      // A new action ends redo.
      this.#stored = { ...this.#stored, redo: [] }
      for (const [at, edit] of edits.entries()) {
        const { part } = this.#run(edit, (changed) => changed)
        if (part) action = { ...action, parts: [...action.parts, part] }
        this.#setRunning({ undo: action })
        if (!onProgress(at + 1)) break
        await saveIfDue()
        await nextTask()
      }
      return action
    }
    return this.#enqueue(() =>
      this.runBulk(async () => {
        const action = await this.#savePortions(write)
        // What follows renders the whole list.
        await nextTask()
        return action
      }),
    )
  }

  /**
   * Runs the portions of a large action. The stacks are saved after the first one, every second, when the page is closed, and at the end, also if
   * a portion fails: what is in the document can always be undone. Saving thousands of ids takes longer than an edit, so that it is not done after
   * each of them.
   */
  async #savePortions<T>(work: (saveIfDue: () => Promise<void>) => Promise<T>): Promise<T> {
    const save = () => this.#save(this.#stored)
    let savedAt = Number.NEGATIVE_INFINITY
    window.addEventListener("pagehide", save)
    try {
      return await work(async () => {
        if (performance.now() - savedAt <= SAVE_INTERVAL_MS) return
        await nextTask()
        save()
        savedAt = performance.now()
      })
    } finally {
      window.removeEventListener("pagehide", save)
      save()
      this.#running = {}
    }
  }

  /** Undoes the latest action; `null` if there is none. */
  undo(author: string): Promise<RevertedAction | null> {
    return this.#enqueue(async () => {
      const action = this.#latest("undo")
      return action && this.#revert("undo", action, author)
    })
  }

  /** Undoes one action, not necessarily the latest. If a part of it was undone, the rest. */
  undoAction(action: Action, author: string): Promise<RevertedAction> {
    return this.#enqueue(() => {
      const { id, label, parts } = this.#stored.undo.find((other) => isSame(other, action)) ?? action
      return this.#revert("undo", { id, label, parts: containedParts(this.plan, { parts }) }, author)
    })
  }

  /** Redoes the action that was undone last; `null` if there is none. */
  redo(author: string): Promise<RevertedAction | null> {
    return this.#enqueue(async () => {
      const action = this.#latest("redo")
      return action && this.#revert("redo", action, author)
    })
  }

  #revert(from: Kind, action: Action, author: string): Promise<RevertedAction> {
    const revert = () => this.#savePortions((saveIfDue) => this.#revertParts(from, action, author, saveIfDue))
    return action.parts.length > 1 ? this.runBulk(revert) : revert()
  }

  /**
   * Reverts the parts of an action, the last one first. Each reverted part leaves its stack, and its inverse enters the other one: after a reload
   * in between, undo and redo go on from there.
   */
  async #revertParts(from: Kind, action: Action, author: string, saveIfDue: () => Promise<void>): Promise<RevertedAction> {
    const { id, label, parts } = action
    const what = `${from === "undo" ? "undid" : "redid"} ${label}`
    const kept: KeptPlace[] = []
    let inverse: Action = { id: newId(), label, parts: [] }
    const setRemaining = (remaining: readonly ActionPart[]) =>
      this.#setRunning({ [from]: { id, label, parts: remaining }, [from === "undo" ? "redo" : "undo"]: inverse })
    setRemaining(parts)
    // If nothing has changed since the action, no place needs to be compared with what the action wrote.
    let isLatest = isContiguous(parts) && isSameHeads(this.plan.heads(), parts.at(-1)?.after ?? [])
    let left: UrlHeads | null = null
    for (const [at, part] of [...parts.entries()].toReversed()) {
      if (left) {
        await saveIfDue()
        await nextTask()
        isLatest &&= isSameHeads(this.plan.heads(), left)
      }
      const reverted = revertPart(this.plan, part, what, author, this.#isOwn, isLatest)
      left = this.plan.heads()
      if (reverted.inverse) inverse = { ...inverse, parts: [...inverse.parts, reverted.inverse] }
      kept.push(...reverted.kept)
      setRemaining(parts.slice(0, at))
    }
    return { label, hasChanged: inverse.parts.length > 0, kept }
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

  /** Puts the running actions on their stacks without saving them. */
  #setRunning(running: Partial<Record<Kind, Action>>): void {
    this.#running = running
    this.#stored = this.#withRunning(this.#stored)
  }

  /** The stacks with the running actions as they are now. Another tab or an edit may have replaced or dropped them. */
  #withRunning({ undo, redo, actors }: Stored): Stored {
    const put = (kind: Kind, actions: Action[]): Action[] => {
      const running = this.#running[kind]
      if (!running) return actions
      if (running.parts.length === 0) return actions.filter((other) => !isSame(other, running))
      const isThere = actions.some((other) => isSame(other, running))
      return isThere ? actions.map((other) => (isSame(other, running) ? running : other)) : [...actions, running]
    }
    return { undo: put("undo", undo), redo: put("redo", redo), actors }
  }

  /** Large actions, undo and redo run one after the other. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work)
    this.#queue = run.catch(() => undefined)
    return run
  }

  /** The latest action of a stack, as far as the document contains it. Actions that it does not contain are dropped. */
  #latest(kind: Kind): Action | null {
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
      const found = JSON.parse(localStorage.getItem(this.#key) ?? "null") as Stored | null
      if (found && [found.undo, found.redo, found.actors].every(Array.isArray))
        return { undo: found.undo.map(withId), redo: found.redo.map(withId), actors: found.actors }
    } catch {
      // Unreadable actions are dropped.
    }
    return { undo: [], redo: [], actors: [] }
  }

  #save(stored: Stored): void {
    const { undo, redo, actors } = this.#withRunning(stored)
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
    // Without storage, undo lasts as long as the page.
    storeItem(this.#key, text.length <= MAX_LENGTH ? text : null)
    this.#publish()
  }

  /** Another tab of the same user has saved its actions. */
  #onStorage = ({ key, newValue }: StorageEvent): void => {
    // A tab with another plan removes the stack if the storage is full. This page still has it.
    if (key !== this.#key || newValue === null) return
    this.#stored = this.#withRunning(this.#read())
    this.#publish()
  }

  #publish(): void {
    const { undo, redo } = this.#stored
    this.state = { undo: undo.at(-1)?.label ?? null, redo: redo.at(-1)?.label ?? null }
    for (const listener of this.#listeners) listener()
  }
}

const isSame = (one: Action, other: Action): boolean => one.id === other.id
/** Earlier versions stored actions without ids. Each part has heads of its own, so that two actions never end at the same ones. */
const withId = (action: Action): Action => ({ ...action, id: action.id ?? action.parts.at(-1)?.after.join() ?? "" })

const isSameHeads = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((head) => other.includes(head))

/** Whether each part of an action begins where the one before it ends. */
const isContiguous = (parts: readonly ActionPart[]): boolean =>
  parts.every(({ before }, at) => at === 0 || isSameHeads(before, parts[at - 1]?.after ?? []))
