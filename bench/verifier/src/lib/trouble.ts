import { chanceOf } from './random.ts'

export interface Trouble {
  /** The handler throws, after its writes and sends. */
  readonly fails: boolean
  /** The handler waits so long before it goes on, so that commits fall into events. */
  readonly waitMs: number
}

const FAILING = 0.01
const FAILING_AGAIN = 0.2
const SLOW = 0.01
const LONGEST_WAIT_MS = 120

/** What befalls an event at an agent; `attempt` counts from 0. The third attempt passes. */
export function troubleOf(seed: number, agent: string, id: number | string, attempt: number): Trouble {
  const failing = chanceOf(seed, 'fails', agent, id) < FAILING
  const again = failing && chanceOf(seed, 'fails again', agent, id) < FAILING_AGAIN
  const slow = chanceOf(seed, 'slow', agent, id, attempt) < SLOW
  return {
    fails: attempt === 0 ? failing : attempt === 1 && again,
    waitMs: slow ? Math.ceil(chanceOf(seed, 'wait', agent, id, attempt) * LONGEST_WAIT_MS) : 0,
  }
}
