/** Heights of rows in CSS pixels. */
export const ROW_HEIGHT = 44
export const NARROW_ROW_HEIGHT = 106
/** Below this width a row has three lines. */
export const NARROW_SCREEN = "(max-width: 46rem)"
