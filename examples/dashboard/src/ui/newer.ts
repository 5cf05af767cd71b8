import { useEffect, useState } from "react"

/** Said when the server has a newer page than this one. */
export const NEWER = "happierwork-newer"

export function useNewer(): boolean {
  const [isNewer, setNewer] = useState(false)
  useEffect(() => {
    const hear = () => setNewer(true)
    window.addEventListener(NEWER, hear)
    return () => window.removeEventListener(NEWER, hear)
  }, [])
  return isNewer
}
