/** Text built from its operations. Most texts are written in one run and kept as a string; all others become a list of letters. */
import { compareOperationIds, parseOperationId } from "../plan/multi-value-register"

interface Letter {
  operation: string
  value: string
  deleted: boolean
}

export class TextSequence {
  /** For a text written in one run: actor, counter of the first letter, and number of letters. */
  #actor = ""
  #first = 0
  #count = 0
  #string = ""
  #letters: Letter[] | null = null

  get value(): string {
    if (!this.#letters) return this.#string
    return this.#letters.reduce((text, letter) => (letter.deleted ? text : text + letter.value), "")
  }

  /** Inserts a letter after another one; `_head` is the start of the text. */
  insert(operation: string, after: string, value: string): void {
    if (!this.#letters) {
      const [counter, actor] = parseOperationId(operation)
      const isFirst = this.#count === 0 && after === "_head"
      const isNext =
        this.#count > 0 && actor === this.#actor && after === this.#name(this.#count - 1) && counter === this.#first + this.#count
      if ((isFirst || isNext) && [...value].length === 1) {
        if (isFirst) [this.#first, this.#actor] = [counter, actor]
        this.#count += 1
        this.#string += value
        return
      }
    }
    const letters = this.#expand()
    let at = after === "_head" ? 0 : letters.findIndex((letter) => letter.operation === after) + 1
    // Of letters inserted at the same place, the newest comes first.
    while (at < letters.length && compareOperationIds((letters[at] as Letter).operation, operation) > 0) at += 1
    letters.splice(at, 0, { operation, value, deleted: false })
  }

  /** Replaces a letter; `null` deletes it. */
  replace(letter: string, value: string | null): void {
    const found = this.#expand().find(({ operation }) => operation === letter)
    if (!found) return
    if (value === null) found.deleted = true
    else found.value = value
  }

  #name(at: number): string {
    return `${this.#first + at}@${this.#actor}`
  }

  #expand(): Letter[] {
    this.#letters ??= [...this.#string].map((value, at) => ({ operation: this.#name(at), value, deleted: false }))
    return this.#letters
  }
}
