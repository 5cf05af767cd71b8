/** Heights of rows in CSS pixels. */
export const ROW_HEIGHT = 44
export const NARROW_ROW_HEIGHT = 112
/** Height of the head of a group on a narrow screen. Elsewhere it is a row. */
export const NARROW_HEAD_HEIGHT = 64
/** Below this width a row has three lines. */
export const NARROW_SCREEN = "(max-width: 46rem)"
