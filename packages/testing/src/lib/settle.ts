import { MillraceError } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'

export interface Settling {
  readonly log: MemoryLog
  readonly workers: readonly Worker[]
  /** Timers of the manual clock that agents wait for. */
  readonly agentTimers: () => number
  /** Real time, so that a test that never comes to rest ends. */
  readonly elapsedMs: () => number
}

/** Most real time that coming to rest may take. */
export const SETTLE_LIMIT_MS = 5000

/** So many turns of the event loop without any change: a fetch, a send and a wake-up take fewer. */
const TURNS_AT_REST = 8

/**
 * Waits until nothing is pending but what waits for the manual clock.
 *
 * @throws `NOT_SETTLED` after 5 s of real time, naming what is in hand
 */
export async function settle({ log, workers, agentTimers, elapsedMs }: Settling): Promise<void> {
  let last = ''
  let same = 0
  for (;;) {
    await turn()
    const failed = workers.find(({ status }) => status === 'failed')
    if (failed !== undefined) return failed.finished
    const states = workers.filter(({ status }) => status !== 'stopped').map((worker) => worker.quiet())
    const inHand = states.flatMap((state) => state.inHand)
    const seen = JSON.stringify([log.version, inHand])
    same = seen === last ? same + 1 : 0
    last = seen
    const waitsForClock = inHand.length > 0 && agentTimers() > 0
    if (same >= TURNS_AT_REST && (states.every(({ idle }) => idle) || waitsForClock)) return
    if (elapsedMs() > SETTLE_LIMIT_MS) {
      const what = inHand.join('; ') || 'nothing that can be named'
      throw new MillraceError('NOT_SETTLED', `After ${SETTLE_LIMIT_MS} ms these were still in hand: ${what}.`)
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
