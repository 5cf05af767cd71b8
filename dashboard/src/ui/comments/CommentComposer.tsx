import { type FormEvent, type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from "react"
import { validateComment } from "../../plan/comments"
import { matchingPeople, typedMention } from "../../plan/mentions"
import { MAX_TEXT } from "../../plan/schema"
import { countCharacters } from "../../plan/text"
import { type CommentPlace, readCommentDraft, saveCommentDraft } from "../../sync/comment-drafts"
import { EditorPopup } from "../EditorPopup"

const MAX_SUGGESTIONS = 6

interface Props {
  /** Where the text is kept until it is sent. */
  place: CommentPlace
  /** Names that can be mentioned. */
  people: readonly string[]
  /** Returns whether the comment was added. */
  onAdd: (text: string) => boolean
}

/** Text field for a comment. `@` completes names; Ctrl+Enter adds the comment. */
export function CommentComposer({ place, people, onAdd }: Props) {
  const [text, setText] = useState(() => readCommentDraft(place))
  const [problem, setProblem] = useState("")
  const [cursor, setCursor] = useState<number | null>(null)
  const [marked, setMarked] = useState(0)
  /** Index of the `@` whose list was closed. */
  const [closedAt, setClosedAt] = useState<number | null>(null)
  const field = useRef<HTMLTextAreaElement>(null)
  const nextCursor = useRef<number | null>(null)
  const [id, list] = [useId(), useId()]
  const typed = cursor === null ? null : typedMention(text, cursor)
  const matches = typed && typed.at !== closedAt ? matchingPeople(people, typed.query).slice(0, MAX_SUGGESTIONS) : []
  // A name that is complete needs no list.
  const names = matches.length === 1 && matches[0]?.toLowerCase() === typed?.query.toLowerCase() ? [] : matches
  const markedName = names[Math.min(marked, names.length - 1)]
  const count = countCharacters(text)

  // React does not write the attribute that tells a dialog which control to focus when it opens.
  useLayoutEffect(() => field.current?.setAttribute("autofocus", ""), [])
  const { owner, plan, position } = place
  // An unchanged text is not written, so that other tabs keep theirs.
  const saved = useRef(text)
  useEffect(() => {
    if (text === saved.current) return
    saved.current = text
    saveCommentDraft({ owner, plan, position }, text)
  }, [owner, plan, position, text])
  useLayoutEffect(() => {
    if (nextCursor.current === null) return
    field.current?.setSelectionRange(nextCursor.current, nextCursor.current)
    nextCursor.current = null
  })

  const pick = (name: string) => {
    if (!typed || cursor === null) return
    const before = `${text.slice(0, typed.at)}@${name} `
    setText(before + text.slice(cursor).replace(/^ /, ""))
    nextCursor.current = before.length
    setCursor(before.length)
    setClosedAt(typed.at)
  }
  const add = () => {
    const found = validateComment(text)
    if (found !== null) setProblem(found)
    else if (onAdd(text.trim())) {
      setText("")
      setProblem("")
      setCursor(null)
      setClosedAt(null)
    } else setProblem("The comment was not added: the position was deleted, or another program uses its field “comments”.")
    field.current?.focus()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) add()
    else if (names.length === 0 || markedName === undefined) return
    else if (event.key === "ArrowDown") setMarked((marked + 1) % names.length)
    else if (event.key === "ArrowUp") setMarked((marked + names.length - 1) % names.length)
    else if ((event.key === "Enter" && !event.shiftKey) || (event.key === "Tab" && !event.shiftKey)) pick(markedName)
    // The dialog stays open.
    else if (event.key === "Escape") setClosedAt(typed?.at ?? null)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <form
      className="comment-composer"
      aria-label="New comment"
      noValidate
      onSubmit={(event: FormEvent) => {
        event.preventDefault()
        add()
      }}
    >
      <label htmlFor={id}>Add a comment</label>
      <div className="comment-field">
        <textarea
          id={id}
          ref={field}
          rows={3}
          value={text}
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-note`}
          aria-autocomplete="list"
          aria-controls={names.length > 0 ? list : undefined}
          aria-activedescendant={markedName === undefined ? undefined : `${list}-${names.indexOf(markedName)}`}
          onChange={(event) => {
            setText(event.target.value)
            setCursor(event.target.selectionStart)
            setMarked(0)
            setProblem("")
            if (closedAt !== null && event.target.value[closedAt] !== "@") setClosedAt(null)
          }}
          onSelect={(event) => setCursor(event.currentTarget.selectionStart)}
          onBlur={() => setCursor(null)}
          onKeyDown={onKeyDown}
        />
        {/* The list is placed again when its height changes. */}
        {names.length > 0 && (
          <EditorPopup key={`${typed?.at}/${names.length}`} id={list} role="listbox" label="People to mention">
            {names.map((name, at) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the text field
              // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the text field
              <div
                key={name}
                id={`${list}-${at}`}
                role="option"
                aria-selected={name === markedName}
                className="option"
                onClick={() => pick(name)}
              >
                {name}
              </div>
            ))}
          </EditorPopup>
        )}
      </div>
      {problem !== "" && (
        <p role="alert" className="problem">
          {problem}
        </p>
      )}
      <div className="comment-foot">
        <p id={`${id}-note`} className="fine">
          {count > MAX_TEXT * 0.9 ? `${count.toLocaleString()} of ${MAX_TEXT.toLocaleString()} characters` : "Type @ to mention somebody."}
        </p>
        <button type="submit" className="primary" title="Ctrl+Enter">
          Comment
        </button>
      </div>
    </form>
  )
}
