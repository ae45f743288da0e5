import { describe, test } from 'vitest'
import { briefRun } from './brief-run.fixture.ts'

/** Both guarantees in turn; with more kills and records it is `pnpm verify`. */
const GUARANTEES = ['at-least-once', 'exactly-once'] as const

describe('workers that are killed, stopped and frozen, on the embedded log', () => {
  test.each(GUARANTEES)(
    'lose nothing: %s',
    async (guarantee) => {
      const chaos = [
        '--seed',
        '7',
        '--minutes',
        '0.25',
        '--records',
        '3000',
        '--kills',
        '2',
        '--stops',
        '1',
        '--freezes',
        '1',
      ]
      await briefRun(guarantee, ...chaos, '--session', '2000', '--broker', 'embedded')
    },
    300_000,
  )
})
