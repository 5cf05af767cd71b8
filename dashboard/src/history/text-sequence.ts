/** A text as its operations leave it. Nearly all are written in one go, and kept as a string; others as a list of letters. */
import { compareOperationIds, parseOperationId } from "../plan/multi-value-register"

interface Letter {
  operation: string
  value: string
  deleted: boolean
}

export class TextSequence {
  /** While everything was written in a row: the first letter's counter, how many there are, and whose. */
  #actor = ""
  #first = 0
  #count = 0
  #string = ""
  #letters: Letter[] | null = null

  get value(): string {
    if (!this.#letters) return this.#string
    return this.#letters.reduce((text, letter) => (letter.deleted ? text : text + letter.value), "")
  }

  /** A letter was put after another one (`_head`: at the beginning). */
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
    // Of what was put at the same place the newest comes first.
    while (at < letters.length && compareOperationIds((letters[at] as Letter).operation, operation) > 0) at += 1
    letters.splice(at, 0, { operation, value, deleted: false })
  }

  /** A letter was deleted, or another one put in its place. */
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
