import { MillraceError } from '@millrace/core'
import type { SeededRandom } from './seeded-random.ts'

/**
 * Replaces `Math.random` by the seed's numbers while `work` runs: back-off and spreading use it, and so may handlers.
 * One call at a time per process.
 *
 * @throws `ALREADY_STARTED`
 */
export async function withSeededMath<T>(random: SeededRandom, work: () => Promise<T>): Promise<T> {
  const before = Math.random
  if (before.name === SEEDED) throw new MillraceError('ALREADY_STARTED', 'Another simulation runs in this process.')
  const seeded = (): number => random.next()
  Object.defineProperty(seeded, 'name', { value: SEEDED })
  Math.random = seeded
  try {
    return await work()
  } finally {
    Math.random = before
  }
}

const SEEDED = 'random of a Millrace simulation'
