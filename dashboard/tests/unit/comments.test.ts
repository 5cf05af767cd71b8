/** Comments of several people on one position. */
import { next as A } from "@automerge/automerge/slim"
import { describe, expect, it } from "vitest"
import { CommentIndex } from "../../src/plan/comment-index"
import {
  addComment,
  type CommentAddress,
  deleteComment,
  readComments,
  recoverComments,
  setCommentDone,
  validateComment,
} from "../../src/plan/comments"
import { deletePositions, resolveConflict, restorePositions, setField } from "../../src/plan/edit"
import { readExtraFields } from "../../src/plan/extra-fields"
import { RowReader } from "../../src/plan/multi-value-register"
import { MAX_TEXT } from "../../src/plan/schema"
import { type ActionPart, revertPart } from "../../src/plan/undo"
import { type Copy, createCopies } from "./support/copy"

const threadOf = (copy: Copy, id: string) => readComments(new RowReader(copy.doc()), id).comments
const texts = (copy: Copy, id: string) => threadOf(copy, id).map(({ text, done }) => (done ? `✓ ${text}` : text))
const comment = (copy: Copy, id: string, text: string, author: string): CommentAddress => {
  const added = addComment(copy, id, text, author)
  if (added === null) throw new Error("the comment was not added")
  return { position: id, comment: added }
}

function sync(...copies: Copy[]): void {
  for (const one of copies) for (const other of copies) if (one !== other) one.merge(other)
}

/** Two copies whose users have written the first comments at the same time. `losing`: the one whose map Automerge does not show. */
function commentedOffline() {
  const { id, ours, theirs } = createCopies()
  const mine = comment(ours, id, "Why so much?", "CEO")
  const other = comment(theirs, id, "Can we wait?", "CFO")
  sync(ours, theirs)
  const shown = Object.keys(ours.row(id).comments as object)
  const losing = shown.includes(mine.comment) ? other : mine
  return { id, ours, theirs, losing, shown: losing === mine ? other : mine }
}

const done = (copy: Copy, { position, comment }: CommentAddress) => threadOf(copy, position).find(({ id }) => id === comment)?.done

describe("comments", () => {
  it("have an author, a time, a text and a state", () => {
    const { id, ours } = createCopies()
    comment(ours, id, "First line\nSecond 😀", "CEO")
    expect(threadOf(ours, id)).toEqual([
      { id: expect.any(String), by: "CEO", at: expect.any(Number), text: "First line\nSecond 😀", done: false },
    ])
    expect(Object.values(ours.row(id).comments as object)).toEqual([
      { by: "CEO", at: expect.any(String), text: "First line\nSecond 😀", done: false },
    ])
  })

  it("do not change who edited the position last", () => {
    const { id, ours } = createCopies()
    const before = ours.row(id)
    comment(ours, id, "Hm", "CFO")
    expect({ ...ours.row(id), comments: null }).toEqual({ ...before, comments: null })
  })

  it("create their map and the first entry in one change", () => {
    const { id, ours } = createCopies()
    const before = A.getAllChanges(ours.doc()).length
    comment(ours, id, "Hm", "CFO")
    expect(A.getAllChanges(ours.doc())).toHaveLength(before + 1)
  })

  it("need a visible text of limited length", () => {
    expect(validateComment(" \n\u200b")).not.toBeNull()
    expect(validateComment("😀".repeat(MAX_TEXT))).toBeNull()
    expect(validateComment("x".repeat(MAX_TEXT + 1))).toContain("1,000")
  })

  it("are not written over a value of another program", () => {
    const { id, ours } = createCopies()
    ours.write((doc) => Object.assign(doc.positions[id] ?? {}, { comments: "see the sheet" }))
    expect(addComment(ours, id, "Hm", "CEO")).toBeNull()
    expect(addComment(ours, "none", "Hm", "CEO")).toBeNull()
    expect(ours.row(id).comments).toBe("see the sheet")
  })

  it("of other shapes are left out, and their fields are kept", () => {
    const { id, ours } = createCopies()
    const at = new Date(0)
    const foreign = { a: { by: "HR", at, text: "Hello", done: false, colour: "red" }, b: "text", c: { by: "HR" }, d: { text: " " } }
    ours.write((doc) => Object.assign(doc.positions[id] ?? {}, { comments: foreign }))
    expect(threadOf(ours, id)).toEqual([{ id: "a", by: "HR", at: 0, text: "Hello", done: false }])
    setCommentDone(ours, { position: id, comment: "a" }, true, "CEO")
    expect(ours.row(id).comments).toMatchObject({ a: { done: true, colour: "red" }, b: "text" })
  })

  it("are not exported as a field of another program", () => {
    const { id, ours } = createCopies()
    comment(ours, id, "Hm", "CEO")
    expect(readExtraFields(ours.doc(), [id])).toEqual(new Map())
  })
})

describe("first comments of two people who are offline", () => {
  it("are both shown in both copies", () => {
    const { id, ours, theirs } = commentedOffline()
    expect(Object.keys(ours.row(id).comments as object)).toHaveLength(1)
    expect(texts(ours, id).sort()).toEqual(["Can we wait?", "Why so much?"])
    expect(threadOf(theirs, id)).toEqual(threadOf(ours, id))
  })

  it("are both shown after further comments and edits", () => {
    const { id, ours, theirs } = commentedOffline()
    comment(ours, id, "Third", "CEO")
    setField(theirs, id, "budget", 7, "CFO")
    comment(theirs, id, "Fourth", "CFO")
    sync(ours, theirs)
    expect(texts(ours, id).sort()).toEqual(["Can we wait?", "Fourth", "Third", "Why so much?"])
    expect(threadOf(theirs, id)).toEqual(threadOf(ours, id))
  })

  it("are both shown with a third one that was written meanwhile", () => {
    const { id, ours, theirs } = createCopies()
    const third = ours.fork()
    for (let edit = 0; edit < 5; edit += 1) setField(third, id, "budget", edit, "HR")
    comment(ours, id, "One", "CEO")
    comment(theirs, id, "Two", "CFO")
    sync(ours, theirs)
    comment(third, id, "Three", "HR")
    comment(ours, id, "Four", "CEO")
    sync(ours, theirs, third)
    for (const copy of [ours, theirs, third]) expect(texts(copy, id).sort()).toEqual(["Four", "One", "Three", "Two"])
  })

  it("can be resolved and reopened, whichever map they are in", () => {
    const { id, ours, theirs, losing, shown } = commentedOffline()
    for (const address of [losing, shown]) {
      expect(setCommentDone(ours, address, true, "CEO")).toBe(true)
      sync(ours, theirs)
      expect([done(ours, address), done(theirs, address)]).toEqual([true, true])
      expect(setCommentDone(theirs, address, false, "CFO")).toBe(true)
      sync(ours, theirs)
      expect([done(ours, address), done(theirs, address)]).toEqual([false, false])
    }
    expect(texts(ours, id)).toHaveLength(2)
    expect(Object.keys(ours.row(id).comments as object).sort()).toEqual([losing.comment, shown.comment].sort())
  })

  it("stay one comment if both people resolve it at once", () => {
    const { id, ours, theirs, losing } = commentedOffline()
    setCommentDone(ours, losing, true, "CEO")
    setCommentDone(theirs, losing, true, "CFO")
    sync(ours, theirs)
    expect(texts(ours, id)).toHaveLength(2)
    expect(done(theirs, losing)).toBe(true)
    setCommentDone(ours, losing, false, "CEO")
    sync(ours, theirs)
    expect([done(ours, losing), done(theirs, losing)]).toEqual([false, false])
  })

  it("can be deleted, whichever map they are in", () => {
    const { id, ours, theirs, losing, shown } = commentedOffline()
    setCommentDone(ours, losing, true, "CEO")
    deleteComment(ours, losing, "CEO")
    expect(threadOf(ours, id).map((found) => found.id)).toEqual([shown.comment])
    sync(ours, theirs)
    expect(threadOf(theirs, id).map((found) => found.id)).toEqual([shown.comment])
    deleteComment(theirs, shown, "CFO")
    sync(ours, theirs)
    expect(threadOf(ours, id)).toEqual([])
  })

  it("come back with a restored position", () => {
    const { id, ours, theirs, losing } = commentedOffline()
    setCommentDone(ours, losing, true, "CEO")
    const before = threadOf(ours, id)
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    expect(threadOf(ours, id)).toEqual([])
    restorePositions(ours, [{ id, heads }], "CEO")
    sync(ours, theirs)
    expect(threadOf(ours, id)).toEqual(before)
    expect(threadOf(theirs, id)).toEqual(before)
  })

  it("are all kept if both people restore the position", () => {
    const { id, ours, theirs } = commentedOffline()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    sync(ours, theirs)
    for (const [copy, author] of [
      [ours, "CEO"],
      [theirs, "CFO"],
    ] as const) {
      restorePositions(copy, [{ id, heads }], author)
      setField(copy, id, "budget", author === "CEO" ? 5 : 6, author)
      comment(copy, id, `Restored by ${author}`, author)
    }
    sync(ours, theirs)
    const all = ["Can we wait?", "Restored by CEO", "Restored by CFO", "Why so much?"]
    for (const copy of [ours, theirs]) expect(texts(copy, id).sort()).toEqual(all)
    resolveConflict(ours, id, "budget", ours.operation(id, "budget", 6), "CEO")
    sync(ours, theirs)
    for (const copy of [ours, theirs]) expect(texts(copy, id).sort()).toEqual(all)
  })

  it("are found by the index, also when a losing map changes", () => {
    const { id, ours, theirs, losing } = commentedOffline()
    const index = new CommentIndex(ours.doc())
    expect(index.all.get(id)).toEqual(threadOf(ours, id))
    // Another program edits the entry where it is.
    theirs.change((doc) => {
      const maps = Object.values(A.getConflicts(doc.positions[id] as unknown as A.Doc<Record<string, unknown>>, "comments") ?? {})
      for (const map of maps as Record<string, { done: boolean }>[])
        if (map[losing.comment]) Object.assign(map[losing.comment] ?? {}, { done: true })
    })
    ours.merge(theirs)
    index.applyPatches(ours.doc(), [])
    expect(index.all.get(id)?.find((found) => found.id === losing.comment)?.done).toBe(true)
  })
})

describe("comments on a position that was deleted meanwhile", () => {
  it("are listed for review, and recovered beside newer ones", () => {
    const { id, ours, theirs } = createCopies()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    comment(theirs, id, "Keep this one", "CFO")
    const discarded = theirs.heads()
    sync(ours, theirs)
    expect(ours.discardedEdits()).toEqual([{ field: "comments", value: null, author: "CFO" }])
    restorePositions(ours, [{ id, heads }], "CEO")
    comment(ours, id, "Newer", "CEO")
    expect(recoverComments(ours, id, discarded, "CEO")).toHaveLength(1)
    expect(texts(ours, id).sort()).toEqual(["Keep this one", "Newer"])
    expect(ours.discardedEdits()).toEqual([])
  })
})

describe("undo of comments", () => {
  function act(copy: Copy, edit: () => CommentAddress): ActionPart {
    const before = copy.heads()
    const address = edit()
    return { before, after: copy.heads(), comments: [address] }
  }
  const userOf = (copy: Copy, name: string) => {
    const own = A.getActorId(copy.doc())
    return (part: ActionPart) => revertPart(copy, part, "undid", name, (actor) => actor.startsWith(own))
  }

  it("removes an added comment, and redo brings it back with its id", () => {
    const { id, ours } = createCopies()
    const revert = userOf(ours, "CEO")
    const part = act(ours, () => comment(ours, id, "Hm", "CEO"))
    const thread = threadOf(ours, id)
    const undone = revert(part)
    expect(threadOf(ours, id)).toEqual([])
    revert(undone.inverse as ActionPart)
    expect(threadOf(ours, id)).toEqual(thread)
  })

  it("keeps comments that others added meanwhile", () => {
    const { id, ours, theirs } = createCopies()
    const part = act(ours, () => comment(ours, id, "Mine", "CEO"))
    comment(theirs, id, "Theirs", "CFO")
    sync(ours, theirs)
    expect(userOf(ours, "CEO")(part).kept).toEqual([])
    sync(ours, theirs)
    expect([texts(ours, id), texts(theirs, id)]).toEqual([["Theirs"], ["Theirs"]])
  })

  it("reopens a comment of the losing map, and redo resolves it", () => {
    const { id, ours, theirs, losing } = commentedOffline()
    const revert = userOf(ours, "CEO")
    const part = act(ours, () => {
      setCommentDone(ours, losing, true, "CEO")
      return losing
    })
    const { inverse } = revert(part)
    sync(ours, theirs)
    expect([done(ours, losing), done(theirs, losing)]).toEqual([false, false])
    revert(inverse as ActionPart)
    expect(done(ours, losing)).toBe(true)
    expect(texts(ours, id)).toHaveLength(2)
  })

  it("brings back a deleted comment of either map", () => {
    const { id, ours, theirs, losing, shown } = commentedOffline()
    const revert = userOf(ours, "CEO")
    const before = threadOf(ours, id)
    for (const address of [losing, shown]) {
      const part = act(ours, () => {
        deleteComment(ours, address, "CEO")
        return address
      })
      expect(threadOf(ours, id)).toHaveLength(1)
      expect(revert(part).kept).toEqual([])
      sync(ours, theirs)
      expect(threadOf(theirs, id)).toEqual(before)
    }
  })

  it("leaves a comment that somebody else has resolved since", () => {
    const { id, ours, theirs } = createCopies()
    const part = act(ours, () => comment(ours, id, "Hm", "CEO"))
    theirs.merge(ours)
    setCommentDone(theirs, part.comments?.[0] as CommentAddress, true, "CFO")
    ours.merge(theirs)
    expect(userOf(ours, "CEO")(part)).toEqual({ inverse: null, kept: [{ id, field: "comments", name: "Cook", reason: "changed" }] })
    expect(texts(ours, id)).toEqual(["✓ Hm"])
  })

  it("reports a position that was deleted since", () => {
    const { id, ours } = createCopies()
    const part = act(ours, () => comment(ours, id, "Hm", "CEO"))
    deletePositions(ours, [id], "Cook", "CFO")
    expect(userOf(ours, "CEO")(part)).toEqual({ inverse: null, kept: [{ id, field: "comments", name: "Cook", reason: "deleted" }] })
  })
})

describe("comments in the history", () => {
  it("are listed with their text, one by one", () => {
    const { id, ours } = createCopies()
    const address = comment(ours, id, "Why?", "CFO")
    setCommentDone(ours, address, true, "CEO")
    setCommentDone(ours, address, false, "CEO")
    deleteComment(ours, address, "CFO")
    const event = (action: string) => [{ kind: "comment", position: id, name: "Cook", action, text: "Why?" }]
    expect(ours.latestEvents(4)).toEqual(["deleted", "reopened", "resolved", "added"].map(event))
    const { entries } = ours.changeLog().page({ position: id }, null, 4)
    expect(entries.map(({ author }) => author)).toEqual(["CFO", "CEO", "CEO", "CFO"])
  })

  it("name what a copy into the shown map changed", () => {
    const { ours, losing } = commentedOffline()
    setCommentDone(ours, losing, true, "CEO")
    expect(ours.latestEvents()).toEqual([[expect.objectContaining({ kind: "comment", action: "resolved" })]])
  })

  it("are part of a restored position", () => {
    const { id, ours } = createCopies()
    comment(ours, id, "Why?", "CFO")
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO")
    expect(ours.latestEvents()).toEqual([[{ kind: "restored", position: id, name: "Cook" }]])
  })
})
