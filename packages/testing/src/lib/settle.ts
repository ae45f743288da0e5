import { MillraceError } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import type { TestClock } from './test-clock.ts'

export interface Settling {
  readonly log: MemoryLog
  readonly workers: readonly Worker[]
  readonly timers: Pick<TestClock, 'agentTimers' | 'isWaiting'>
  /** Real time, so that a test that never comes to rest ends. */
  readonly elapsedMs: () => number
}

/** Most real time that coming to rest may take. */
export const SETTLE_LIMIT_MS = 5000

/** So many turns of the event loop without any change: a fetch, a send and a wake-up take fewer. */
const TURNS_AT_REST = 8
/** A stop that needs no clock takes fewer. */
const STUCK_TURNS = 200

/**
 * Waits until nothing is pending but what waits for the manual clock. A handler that waits for something else (a request, a
 * file) is waited for, whatever others wait for. One that has let go of its events (`noAck`) is not known to wait.
 *
 * @throws `NOT_SETTLED` after 5 s of real time, naming what is in flight
 */
export async function settle({ log, workers, timers, elapsedMs }: Settling): Promise<void> {
  let last = ''
  let same = 0
  for (;;) {
    await turn()
    const failed = workers.find(({ status }) => status === 'failed')
    if (failed !== undefined) return failed.finished
    const states = workers.filter(({ status }) => status !== 'stopped').map((worker) => worker.quiet())
    const inFlight = states.flatMap((state) => state.inFlight)
    const seen = JSON.stringify([log.version, inFlight])
    same = seen === last ? same + 1 : 0
    last = seen
    const waitsForClock = inFlight.length > 0 && waitForClock(workers, timers)
    if (same >= TURNS_AT_REST && (states.every(({ idle }) => idle) || waitsForClock)) return
    if (elapsedMs() > SETTLE_LIMIT_MS) {
      const what = inFlight.join('; ') || 'nothing that can be named'
      throw new MillraceError('NOT_SETTLED', `After ${SETTLE_LIMIT_MS} ms these were still in flight: ${what}.`)
    }
  }
}

/**
 * Stops workers; hard, where their events wait for the clock, which nobody moves any more, or for longer than 5 s: a test
 * that has failed should end with its own error.
 */
export async function stopAll({ workers, timers, elapsedMs }: Omit<Settling, 'log'>): Promise<void> {
  let stopped = false
  const stopping = Promise.all(workers.map((worker) => worker.stop())).finally(() => (stopped = true))
  for (let turns = 0; !stopped; turns++) {
    await Promise.race([stopping, turn()])
    if ((turns > STUCK_TURNS && waitForClock(workers, timers)) || elapsedMs() > SETTLE_LIMIT_MS) break
  }
  if (!stopped) await Promise.all(workers.map((worker) => worker.stop({ hard: true })))
}

/** Agents wait for the clock, and none of them works at something else. */
function waitForClock(workers: readonly Worker[], timers: Settling['timers']): boolean {
  if (timers.agentTimers() === 0) return false
  return workers.every((worker) => worker.quiet().atWork.every((event) => timers.isWaiting(worker.context, event)))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
