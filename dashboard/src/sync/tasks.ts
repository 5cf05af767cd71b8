/** Lets other tasks of the page run. */
export const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))
