import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react"
import { toSearchText } from "../plan/text"
import { Dialog } from "./Dialog"

/** A command of the page. */
export interface Command {
  /** Unique among all commands. */
  id: string
  label: string
  /** Keys that run the command, such as `Ctrl+Z`. */
  keys?: string
  run: () => void
}

interface Props {
  commands: readonly Command[]
  /** Searches the list for a text that names no command. */
  onSearch: (text: string) => void
  onClose: () => void
}

const MAX_SHOWN = 50

/** Lists all commands, filtered by the words that the user types. */
export function CommandPalette({ commands, onSearch, onClose }: Props) {
  const [text, setText] = useState("")
  const [active, setActive] = useState(0)
  const input = useRef<HTMLInputElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const id = useId()
  const shown = useMemo((): readonly Command[] => {
    const words = toSearchText(text).split(/\s+/).filter(Boolean)
    const found = commands.filter(({ label }) => words.every((word) => toSearchText(label).includes(word))).slice(0, MAX_SHOWN)
    const search: Command = { id: "search-for", label: `Search positions for “${text.trim()}”`, run: () => onSearch(text.trim()) }
    return words.length > 0 ? [...found, search] : found
  }, [commands, text, onSearch])
  const selected = Math.min(active, shown.length - 1)

  // A dialog focuses its first control when it opens.
  useEffect(() => input.current?.focus(), [])
  // biome-ignore lint/correctness/useExhaustiveDependencies: the selected option comes into view
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" })
  }, [selected])

  const run = (command: Command | undefined) => {
    if (!command) return
    onClose()
    // The command moves the focus after the dialog has returned it.
    window.setTimeout(command.run)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    const { length } = shown
    if (event.key === "ArrowDown") setActive((selected + 1) % length)
    else if (event.key === "ArrowUp") setActive((selected - 1 + length) % length)
    else if (event.key === "Home") setActive(0)
    else if (event.key === "End") setActive(length - 1)
    else if (event.key === "Enter") run(shown[selected])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Commands" onClose={onClose}>
      <input
        className="palette-input"
        role="combobox"
        aria-label="Command"
        aria-expanded
        aria-controls={`${id}-list`}
        aria-activedescendant={shown[selected] ? `${id}-${selected}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        placeholder="Type a command or a word to search for"
        ref={input}
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          setActive(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div ref={list} className="palette" role="listbox" id={`${id}-list`} aria-label="Commands">
        {shown.map((command, at) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input handles the keys
          <div
            key={command.id}
            id={`${id}-${at}`}
            role="option"
            aria-selected={at === selected}
            tabIndex={-1}
            onPointerMove={() => setActive(at)}
            onClick={() => run(command)}
          >
            <span>{command.label}</span>
            {command.keys && <kbd>{command.keys}</kbd>}
          </div>
        ))}
      </div>
    </Dialog>
  )
}
