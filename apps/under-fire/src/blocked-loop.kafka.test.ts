import { systemClock } from '@millrace/core'
import { describeKafka } from '@millrace/kafka-for-tests'
import { expect, test } from 'vitest'
import { fireRun } from './fire-run.ts'
import { outsideOf } from './outside.ts'
import { length } from './test-length.ts'
import { tellFigures } from './verdict.ts'

const clock = systemClock()
/** More than two sessions of a run. */
const COMPUTES_MS = 7_000
const POISON = '300'

describeKafka('an event that computes for longer than the session', (brokers) => {
  const outside = outsideOf(brokers)

  // What is blamed for a block is decided in the same way under both.
  test.each(length({ short: ['exactly-once'] as const, long: ['at-least-once', 'exactly-once'] as const }))(
    'ends as a dead letter, the log names it, and everything else is handled (%s)',
    { timeout: 240_000 },
    async (processingGuarantee) => {
      await using run = await fireRun({
        outside: outside(),
        brokers: brokers.join(','),
        settings: { processingGuarantee },
        plan: { poison: { number: POISON, computesMs: COMPUTES_MS } },
      })
      const workers = await run.startReady(2)
      const startMs = clock.monotonic()
      await run.send(1000)
      await run.untilDone(120_000)
      const doneMs = clock.monotonic() - startMs
      expect(await run.stopAll()).toEqual([0, 0])
      const verdict = await run.verdict()
      expect(verdict.lost).toEqual([POISON])
      const letters = await run.read(`${run.id}-tally-dlq`)
      expect(letters.map(({ value }) => String(value))).toEqual([POISON])
      const [poison] = (await run.read(run.numbers)).filter(({ value }) => String(value) === POISON)
      const named = `${run.numbers}/${poison?.partition}@${poison?.offset} of agent tally`
      const lines = workers.flatMap(({ log }) => log.map(({ message }) => message))
      expect(lines.some((line) => line.startsWith('The event loop was blocked') && line.includes(named))).toBe(true)
      tellFigures(`computed for ${COMPUTES_MS} ms, all done ${Math.round(doneMs)} ms after it was sent`, verdict)
    },
  )
})
