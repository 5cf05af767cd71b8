import type { ReactNode } from "react"
import type { PlanColumns } from "../plan/columns"
import type { FormDrafts } from "../sync/form-drafts"
import { ColumnsContext } from "./columns-context"
import { FormDraftsContext } from "./form-drafts"

interface Props {
  columns: PlanColumns
  drafts: FormDrafts
  children: ReactNode
}

/** What all components of an open plan share. */
export function PlanContexts({ columns, drafts, children }: Props) {
  return (
    <ColumnsContext value={columns}>
      <FormDraftsContext value={drafts}>{children}</FormDraftsContext>
    </ColumnsContext>
  )
}
