import { systemClock } from '@millrace/core'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ATTACKS, mutatedBytes, REPORT } from '../fixtures/mutated-bytes.fixture.ts'
import { counting, PARTITIONS } from '../fixtures/strangers.fixture.ts'
import { Outside, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import { decodeCommitMetadata } from '../records/commit-metadata.ts'

/** In each partition, before the worker starts and after. */
const NUMBERS = 10

const texts = fc
  .oneof(
    ...[
      'm1 count:0',
      'm1 count:2,1+2',
      'm1 count:1,1+1,2+2 other:3',
      'm1 *:4',
      'm2 count:1',
      'm3 count:1',
      'kept by another tool',
    ].map((text) => mutatedBytes(Buffer.from(text))),
  )
  .map((bytes) => bytes.toString().slice(0, 1_000))
const commits = fc.array(fc.record({ offset: fc.nat(NUMBERS), metadata: texts }), {
  minLength: PARTITIONS,
  maxLength: PARTITIONS,
})

test(
  `with ${ATTACKS} mutated texts of commit metadata, events that they do not mark as finished are handled once, and so are later ones`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(commits, async (list) => {
        const log = createMemoryLog()
        const outside = new Outside(log)
        await outside.topic('in', PARTITIONS)
        await outside.numbers('in', { count: NUMBERS * PARTITIONS, partitions: PARTITIONS })
        const admin = createMemoryTransport(log, { clock: systemClock(), log: silentLog }).admin()
        const written = list.map((one, partition) => ({ topic: 'in', partition, ...one }))
        await admin.commit('app', written)
        const { worker, handled } = counting(log)
        const failed = await worker.start().then(
          () => undefined,
          (thrown: unknown) => String(thrown),
        )
        if (failed !== undefined) {
          expect(failed).toMatch(/(?:FORMAT_NEWER|PROGRESS_MISSING): .*in\/\d .*offset \d/)
          expect(written.some(({ metadata }) => /^m\d+(?: |$)/.test(metadata) && !/^m1(?: |$)/.test(metadata))).toBe(
            true,
          )
          return
        }
        await outside.numbers('in', {
          first: NUMBERS * PARTITIONS,
          count: NUMBERS * PARTITIONS,
          partitions: PARTITIONS,
        })
        const wanted = written.flatMap(({ partition, ...commit }) => {
          const progress = decodeCommitMetadata({ ...commit, partition })
          const { position, finished } = progress.get('count') ??
            progress.get('*') ?? { position: commit.offset, finished: [] }
          return Array.from({ length: 2 * NUMBERS }, (_, offset) => offset)
            .filter((offset) => offset >= NUMBERS || offset >= position)
            .filter((offset) => offset >= NUMBERS || !finished.some(({ from, to }) => offset >= from && offset < to))
            .map((offset) => partition + offset * PARTITIONS)
        })
        await until('all are handled', () => worker.status === 'failed' || handled.length >= wanted.length)
        await worker.stop()
        await worker.finished
        const ascending = (numbers: readonly number[]): readonly number[] => numbers.toSorted((a, b) => a - b)
        expect(ascending(handled)).toEqual(ascending(wanted))
        expect(log.committed('app').filter(({ offset }) => offset !== 2 * NUMBERS)).toEqual([])
      }),
      { numRuns: Math.ceil(ATTACKS / PARTITIONS), ...REPORT },
    )
  },
)
