import type { EventTime } from '@millrace/worker'

/** For reading rows without a worker, where event time does not move. */
export const NO_TIME: EventTime = {
  watermark: -Infinity,
  committed: -Infinity,
  at: () => -Infinity,
  writtenBy: () => {},
  wakeAt: () => {},
  touchAt: () => {},
}
