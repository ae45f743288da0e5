/** Offsets from `from` up to, but not including, `to`. */
export interface OffsetRange {
  readonly from: number
  readonly to: number
}

/** What one subscription has finished of a partition: all below `position`, and the ranges beyond it. */
export interface Progress {
  readonly position: number
  /** Ascending and disjoint, none below `position`. */
  readonly finished: readonly OffsetRange[]
}
