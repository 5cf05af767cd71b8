/** The storage of a browser, which can be full. */

/** As in the browser, keys are own properties of the object. */
export class FakeStorage {
  [key: string]: unknown
}

const CAPACITY = Symbol("capacity")
const methods: ThisType<FakeStorage & { [CAPACITY]?: number }> & Record<string, (...args: string[]) => unknown> = {
  getItem(key = "") {
    return this[key] ?? null
  },
  setItem(key = "", text = "") {
    const used = Object.entries(this).reduce((sum, [other, value]) => sum + (other === key ? 0 : other.length + String(value).length), 0)
    if (used + key.length + text.length > (this[CAPACITY] ?? Number.POSITIVE_INFINITY)) throw new DOMException("full", "QuotaExceededError")
    this[key] = text
  },
  removeItem(key = "") {
    delete this[key]
  },
}
for (const [name, method] of Object.entries(methods)) Object.defineProperty(FakeStorage.prototype, name, { value: method })

export const fakeStorage = (): Storage => new FakeStorage() as unknown as Storage

/** Leaves room for `left` more characters. */
export function fill(storage: Storage, left = 0): void {
  const used = Object.entries(storage).reduce((sum, [key, value]) => sum + key.length + String(value).length, 0)
  Object.defineProperty(storage, CAPACITY, { value: used + left, configurable: true })
}
