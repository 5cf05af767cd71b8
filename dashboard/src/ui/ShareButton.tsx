import { UserPlus } from "lucide-react"

/** Opens the share dialog. On narrow screens the menu of the plan has the command. */
export function ShareButton({ onShare }: { onShare: () => void }) {
  return (
    <button type="button" className="share" onClick={onShare}>
      <UserPlus aria-hidden /> Share
    </button>
  )
}
