import type { Refusal } from "../grid/cell-changes"
import { Dialog } from "./Dialog"

interface Props {
  title: string
  refusals: readonly Refusal[]
  onClose: () => void
}

const MAX_SHOWN = 200

/** Lists values that an action did not apply, with the reasons. */
export function RefusalsDialog({ title, refusals, onClose }: Props) {
  const others = refusals.length - MAX_SHOWN
  return (
    <Dialog title={title} onClose={onClose}>
      <p>These cells keep their values.</p>
      <ul className="refusals">
        {refusals.slice(0, MAX_SHOWN).map(({ cell, reason }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
          <li key={at}>
            <strong>{cell}</strong>
            <span>{reason}</span>
          </li>
        ))}
      </ul>
      {others > 0 && <p className="fine">and {others.toLocaleString()} more</p>}
    </Dialog>
  )
}
