import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import type { TopicPartition } from '@millrace/core'
import type { GroupAssignment } from '@millrace/core/driver'
import { createMemoryLog } from '@millrace/transport-embedded'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ATTACKS, mutatedBytes, mutatedJson, REPORT } from '../fixtures/mutated-bytes.fixture.ts'
import { counting, isStable, outcome, PARTITIONS, stranger } from '../fixtures/strangers.fixture.ts'
import { Outside, until } from '../fixtures/test-worker.fixture.ts'
import { decodeGroupData, encodeGroupData, NO_GROUP_DATA } from './group-data.ts'
import { encodeOwnData } from './own-data.ts'

const NUMBERS = 20

const GROUP = encodeGroupData({
  ...NO_GROUP_DATA,
  owners: new Map([
    ['4-0', { member: 'w', address: 'http://one:6066' }],
    ['4-1', { member: 'other', address: undefined }],
    ['4-2', { member: 'w', address: 'http://one:6066' }],
  ]),
  members: new Map([
    ['w', 'http://one:6066'],
    ['other', undefined],
  ]),
  warmUps: new Map([['4-1', 'w']]),
  unassigned: ['4-3'],
  stamps: new Map([['w', 'abcdefgh']]),
  life: 'other',
  secret: '0123456789abcdefghijkl',
})

const packed = (bytes: Uint8Array): Buffer => Buffer.concat([GROUP.subarray(0, 1), brotliCompressSync(bytes)])
const UNPACKED = brotliDecompressSync(GROUP.subarray(1))
const HEAD_END = 4 + UNPACKED.readUInt32BE()
const HEAD: unknown = JSON.parse(UNPACKED.subarray(4, HEAD_END).toString())

/** Mutated at one of three levels: the bytes themselves, what they unpack to, or the JSON in that. */
const groupData = fc.oneof(
  mutatedBytes(GROUP),
  mutatedBytes(UNPACKED).map(packed),
  mutatedJson(HEAD).map((head) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(head.length)
    return packed(Buffer.concat([length, head, UNPACKED.subarray(HEAD_END)]))
  }),
)

const OWN = Buffer.from(
  encodeOwnData({
    standbys: new Map([
      ['4-1', 0],
      ['4-3', 1],
    ]),
    blockingEvents: [
      { subscription: 'count', topic: 'in', partition: 1, offset: 3, rounds: 2, blockedMs: 3000, isSure: false },
    ],
  }),
)
const ownData = mutatedJson(JSON.parse(OWN.toString()))

const partition = fc.record({
  topic: fc.constantFrom('in', 'in', 'in', 'counts-changelog', 'missing', '', '__proto__', '../in'),
  partition: fc.constantFrom(0, 1, 2, 3, 3, 4, 99, -1, 2 ** 31 - 1),
})

/** The partitions that the worker is given, if they are not the right ones. */
const assigned: fc.Arbitrary<readonly TopicPartition[] | undefined> = fc.option(fc.array(partition, { maxLength: 6 }), {
  nil: undefined,
})

const given: fc.Arbitrary<Given> = fc.record({ groupData, ownData, assigned })

const AT_ONCE = 10

/** What a leader sends in one rebalance. */
interface Given {
  readonly groupData: Buffer
  readonly ownData: Buffer
  /** `undefined` for the right partitions. */
  readonly assigned: readonly TopicPartition[] | undefined
}

/** Runs a worker under a leader that sends these one after the other, and then leaves. */
async function attack(list: readonly Given[]): Promise<void> {
  const log = createMemoryLog()
  const outside = new Outside(log)
  await outside.topic('in', PARTITIONS)
  await outside.topic('counts-changelog', PARTITIONS, { 'cleanup.policy': 'compact' })
  let round = 0
  const assign = (right: GroupAssignment): GroupAssignment => {
    const { groupData: forAll, ownData: own, assigned: partitions } = list[round++ % list.length] ?? {}
    const ids = [...log.group('app').members.keys()].slice(1)
    return {
      groupData: forAll ?? right.groupData,
      ownData: new Map(ids.map((id) => [id, own ?? new Uint8Array(0)])),
      assignments: new Map(ids.map((id) => [id, partitions ?? right.assignments.get(id) ?? []])),
    }
  }
  const leader = stranger(log, { data: Buffer.from('{}'), assign })
  await leader.start()
  const { worker, handled } = counting(log)
  await outside.numbers('in', { count: NUMBERS, partitions: PARTITIONS })
  await worker.start()
  while (round < list.length && worker.status !== 'failed') {
    const before = log.group('app').generation
    leader.rejoin()
    await until(
      'the next round',
      () => log.group('app').generation > before && (isStable(log, 2) || worker.status === 'failed'),
    )
  }
  await leader.close()
  await outside.numbers('in', { first: NUMBERS, count: NUMBERS, partitions: PARTITIONS })
  await until('all numbers are handled', () => worker.status === 'failed' || handled.length >= 2 * NUMBERS, 10_000)
  if (worker.status === 'failed') await worker.finished
  await worker.stop()
  expect(handled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2 * NUMBERS }, (_, number) => number))
  expect(outcome(log)).toEqual({ committed: 2 * NUMBERS, counted: 2 * NUMBERS })
}

test(
  `a worker survives ${ATTACKS} mutated assignments, and nothing is lost or counted twice`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(fc.asyncProperty(fc.array(given, { minLength: AT_ONCE, maxLength: AT_ONCE }), attack), {
      numRuns: Math.ceil(ATTACKS / AT_ONCE),
      ...REPORT,
    })
  },
)

test('a task is opened even if the leader also wants a copy of it here', async () => {
  const assigned = [0, 1, 2, 3].map((number) => ({ topic: 'in', partition: number }))
  await attack([{ groupData: Buffer.from(GROUP), ownData: OWN, assigned }])
})

test.each([2_000_000, 5_000_000])('a few bytes that unpack to %d tasks are ignored', (tasks) => {
  const head = Buffer.from(
    JSON.stringify({ names: ['w'], addresses: [''], stamps: [''], warmUps: {}, counts: [tasks] }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  const bytes = packed(Buffer.concat([length, head, Buffer.alloc(3 * tasks)]))
  expect(bytes.length).toBeLessThan(200)
  expect(decodeGroupData(bytes)).toBe(NO_GROUP_DATA)
})
