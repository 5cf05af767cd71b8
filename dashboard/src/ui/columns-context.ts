/** The columns of the open plan, for all of its components. */
import { createContext, useContext } from "react"
import { NO_COLUMNS, type PlanColumns } from "../plan/columns"

export const ColumnsContext = createContext<PlanColumns>(NO_COLUMNS)

export const useColumns = (): PlanColumns => useContext(ColumnsContext)
