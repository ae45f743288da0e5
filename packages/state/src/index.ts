/// <reference types="node" preserve="true" />
export {
  CodecKeys,
  prefixEnd,
  showKey,
  type CodecKeyOptions,
  type KeyShape,
  type PartitionKey,
} from './lib/keys/key-shape.ts'
export { readingEvent, writingEvent, ownershipError, type MisplacedKey } from './lib/locating/current-event.ts'
export { readInOrder, readInTurns, type RowLocator, type StateContext } from './lib/locating/row-locator.ts'
export { TaskLocator, type TaskLocatorOptions } from './lib/locating/task-locator.ts'
export { memoryStore } from './lib/memory/memory-store.ts'
export type { RowSpan } from './lib/rows/scan-rows.ts'
export type { EntryOwner, KeyEntry } from './lib/rows/key-entry.ts'
export { changelogOf, KeyedPartition } from './lib/rows/keyed-partition.ts'
export type { CommitWatch } from './lib/rows/commit-watch.ts'
export { KeyedRows, type KeyedRowsOptions } from './lib/rows/keyed-rows.ts'
export type { RowGroupRange } from './lib/rows/row-range.ts'
export { DuePartition } from './lib/time/due-partition.ts'
export { type DueRecord, type DueRules, TIMER_HEADER } from './lib/time/due-rules.ts'
export { WINDOW_HEADER } from './lib/time/close-queue.ts'
export { SessionLayout } from './lib/time/session-layout.ts'
export { isSessionRow, type Session, SessionKeys, sessionRow, sessionRows, type Sessions } from './lib/time/sessions.ts'
export {
  bucketMs,
  bucketOf,
  bucketRow,
  keyOfBucket,
  slide,
  type SlidingBucket,
  slidingRows,
  type SlidingWindow,
  startsAround,
} from './lib/time/sliding.ts'
export { SlidingLayout } from './lib/time/sliding-layout.ts'
export { FixedLayout } from './lib/time/window-layout.ts'
export { keyIn, type WindowKey, WindowKeys, windowRow } from './lib/time/window-keys.ts'
export { WindowPartition, type WindowRules } from './lib/time/window-partition.ts'
export { codecRows, codecShape, type CodecShapeOptions, type RowShape, type StateShape } from './lib/rows/row-shape.ts'
