import { useState } from "react"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"

interface Props {
  name: string
  /** Why the scenario cannot be dropped now; `null` if it can. */
  obstacle: string | null
  /** Resolves when the scenario is deleted; rejects with the reason of the server. */
  onDrop: () => Promise<void>
  onClose: () => void
}

/** Asks before a scenario is deleted. */
export function DropDialog({ name, obstacle, onDrop, onClose }: Props) {
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const drop = async () => {
    setBusy(true)
    setProblem("")
    try {
      await onDrop()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={`Drop “${name}”`} onClose={onClose}>
      <p>
        This deletes the scenario for everybody. You cannot undo it. The plan does not change: what has been merged stays in the plan, and
        the rest is lost.
      </p>
      <p role="alert" className="problem">
        {problem}
      </p>
      {obstacle !== null && (
        <p role="status" className="notice">
          {obstacle}
        </p>
      )}
      <DialogFoot
        onCancel={onClose}
        confirm="Drop scenario"
        isDangerous
        isDisabled={isBusy || obstacle !== null}
        onConfirm={() => void drop()}
      />
    </Dialog>
  )
}
