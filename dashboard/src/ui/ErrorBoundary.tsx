import { Component, type ReactNode } from "react"
import { MessagePage } from "./MessagePage"

/** Shows a message when rendering fails. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { reason: string | null }> {
  override state = { reason: null as string | null }

  static getDerivedStateFromError(error: unknown): { reason: string } {
    return { reason: error instanceof Error ? error.message : String(error) }
  }

  override render(): ReactNode {
    if (this.state.reason === null) return this.props.children
    return <MessagePage title="Something went wrong">Your changes are saved. Error: {this.state.reason}</MessagePage>
  }
}
