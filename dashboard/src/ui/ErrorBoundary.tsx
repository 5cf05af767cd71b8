import { Component, type ReactNode } from "react"
import { MessagePage } from "./MessagePage"

/** What cannot be drawn is told, and takes nothing with it: the plan is on this device and on the server. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { reason: string | null }> {
  override state = { reason: null as string | null }

  static getDerivedStateFromError(error: unknown): { reason: string } {
    return { reason: error instanceof Error ? error.message : String(error) }
  }

  override render(): ReactNode {
    if (this.state.reason === null) return this.props.children
    return <MessagePage title="The page has failed">Nothing of the plan is lost. What went wrong: {this.state.reason}</MessagePage>
  }
}
