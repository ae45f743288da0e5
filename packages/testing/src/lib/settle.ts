import { MillraceError } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Worker } from '@millrace/worker'
import type { TestClock } from './test-clock.ts'

export interface Settling {
  readonly log: MemoryLog
  readonly workers: readonly Worker[]
  readonly timers: Pick<TestClock, 'agentTimers' | 'isWaiting'>
  /** Real time, so that a test that never settles ends. */
  readonly elapsedMs: () => number
}

/** The most real time that settling may take. */
export const SETTLE_LIMIT_MS = 5000

/** How many turns of the event loop must pass without any change: a fetch, a send and a wake-up take fewer. */
const TURNS_AT_REST = 8
/** A stop that needs no clock takes fewer turns. */
const STUCK_TURNS = 200

/**
 * Waits until only work that waits for the manual clock is left. It also waits for a handler that awaits something else
 * (a request, a file), whatever others wait for. A handler that has released its events (`noAck`) is not known to wait.
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
 * Stops workers. It stops hard if their events wait for the clock, which nobody advances any more, or for longer than 5
 * s, so that a failed test ends with its own error.
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

/** Whether agents wait for the clock, and none of them works on something else. */
function waitForClock(workers: readonly Worker[], timers: Settling['timers']): boolean {
  if (timers.agentTimers() === 0) return false
  return workers.every((worker) => worker.quiet().atWork.every((event) => timers.isWaiting(worker.context, event)))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
