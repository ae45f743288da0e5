import { createMemoryLog } from '@millrace/transport-embedded'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ATTACKS, mutatedJson, REPORT } from '../fixtures/mutated-bytes.fixture.ts'
import { counting, isStable, outcome, PARTITIONS, stranger } from '../fixtures/strangers.fixture.ts'
import { Outside, until } from '../fixtures/test-worker.fixture.ts'
import { encodeMemberData } from './member-data.ts'

const NUMBERS = 40
/** How many join at once in one run. */
const MEMBERS = 20
const ALL = Array.from({ length: 2 * NUMBERS }, (_, number) => number)

/** The valid data of a member of this app, with every field. */
const LEAVING: Readonly<Record<string, unknown>> = JSON.parse(
  Buffer.from(
    encodeMemberData({
      groups: new Map([[PARTITIONS, { topics: ['in'], parts: ['counts'], standbys: 1 }]]),
      tasks: ['4-0', '4-2'],
      generation: 3,
      warm: new Map([
        ['4-0', 5],
        ['4-3', 2],
      ]),
      warmUp: { acceptableLag: 100, most: 2, caughtUp: ['4-1'] },
      address: 'http://one:6066',
      instanceId: 'pod-1',
      life: 'pod-1',
      secret: '0123456789abcdefghijkl',
      blockingEvents: [
        { subscription: 'count', topic: 'in', partition: 1, offset: 7, rounds: 2, blockedMs: 3000, isSure: true },
      ],
      isLeaving: true,
    }),
  ).toString(),
)

/** Data of members that claim tasks, and of members that claim none. */
const said = fc.oneof(mutatedJson({ ...LEAVING, isLeaving: undefined }), mutatedJson(LEAVING))

test(
  `the leader survives ${ATTACKS} members with mutated data, and handles each record once`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(said, { minLength: MEMBERS, maxLength: MEMBERS }), async (all) => {
        const log = createMemoryLog()
        const outside = new Outside(log)
        await outside.topic('in', PARTITIONS)
        const { worker, handled } = counting(log)
        await worker.start()
        await outside.numbers('in', { count: NUMBERS, partitions: PARTITIONS })
        const strangers = all.map((data) => stranger(log, { data }))
        await Promise.all(strangers.map((each) => each.start()))
        await until('the group is stable', () => isStable(log, all.length + 1))
        await outside.numbers('in', { first: NUMBERS, count: NUMBERS, partitions: PARTITIONS })
        await Promise.all(strangers.map((each) => each.close()))
        await until('all numbers are handled', () => handled.length >= 2 * NUMBERS)
        await worker.stop()
        expect(handled.toSorted((a, b) => a - b)).toEqual(ALL)
        expect(outcome(log)).toEqual({ committed: 2 * NUMBERS, counted: 2 * NUMBERS })
      }),
      { numRuns: Math.ceil(ATTACKS / MEMBERS), ...REPORT },
    )
  },
)
