import { type CommitOffset, type Logger, MillraceError } from '@millrace/core'
import { expect, test } from 'vitest'
import { outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { SharedCommits, SharedOutput } from './at-least-once.ts'
import { mustFit, Outgoing, recordSize } from './outgoing.ts'

const OFFSET: CommitOffset = { topic: 'in', partition: 0, offset: 7, metadata: '' }

interface Site {
  readonly commits: SharedCommits
  readonly committed: (readonly CommitOffset[])[]
  readonly logged: object[]
}

function setUp(isValid: boolean, refusal?: Error): Site {
  const committed: (readonly CommitOffset[])[] = []
  const logged: object[] = []
  const log: Logger = { ...silentLog, debug: (fields) => void logged.push(fields) }
  const consumer = {
    commit: async (offsets: readonly CommitOffset[]) => {
      committed.push(offsets)
      if (refusal !== undefined) throw refusal
    },
  }
  return { commits: new SharedCommits(consumer, { valid: isValid }, log), committed, logged }
}

test('offsets are committed while the lease holds, and nothing asks for nothing', async () => {
  const { commits, committed } = setUp(true)
  expect(await commits.commit([])).toBe(true)
  expect(committed).toEqual([])
  expect(await commits.commit([OFFSET])).toBe(true)
  expect(committed).toEqual([[OFFSET]])
  const over = setUp(false)
  expect([await over.commits.commit([OFFSET]), over.committed]).toEqual([false, []])
})

test.each(['MEMBER_FENCED', 'NOT_ASSIGNED'] as const)(
  'a commit that is refused with %s came too late',
  async (code) => {
    const { commits, logged } = setUp(true, new MillraceError(code, 'Gone.'))
    expect([await commits.commit([OFFSET]), logged]).toEqual([false, [{ code }]])
  },
)

test('a commit that fails for any other reason is not taken for done', async () => {
  const { commits, logged } = setUp(true, new MillraceError('WORKER_FAILED', 'Broken.'))
  await expect(commits.commit([OFFSET])).rejects.toMatchObject({ code: 'WORKER_FAILED' })
  expect(logged).toEqual([])
})

test('a record is as large as its key, value and headers and a little more, and may just fill the limit', () => {
  const bare = recordSize({ key: null, value: null, headers: [] })
  const name = 'trace'
  const headers = [
    [name, Buffer.from('abc')],
    [name, null],
  ] as const
  expect(recordSize({ key: Buffer.alloc(2), value: Buffer.alloc(4), headers })).toBe(bare + 2 + 4 + 5 + 3 + 5)
  const record = new Outgoing(outgoing('out', 0, 'k', 'v'), undefined)
  mustFit(record, record.size)
  expect(() => mustFit(record, record.size - 1)).toThrow(
    expect.objectContaining({
      code: 'RECORD_TOO_LARGE',
      detail: `A record of ${record.size} bytes for out is larger than ${record.size - 1} (maxRecordBytes).`,
    }),
  )
})

test('what waits for the broker counts over the last commit, and what is abandoned goes with its reason', async () => {
  const added: Outgoing[] = []
  const collector = { add: (record: Outgoing) => void added.push(record) }
  const owner = { id: '1-0', delayed: () => {}, delayOver: () => {} }
  const output = new SharedOutput(owner, collector, setUp(true).commits)
  const send = (value: string): void => output.add(new Outgoing(outgoing('out', 0, 'k', value), undefined))
  send('a')
  send('b')
  expect([output.transactional, output.pending]).toEqual([false, 2])
  const sealed = output.seal()
  send('c')
  expect(output.pending).toBe(3)
  added[0]?.acknowledged(0)
  expect(output.pending).toBe(2)
  added[1]?.acknowledged(1)
  await sealed
  expect([output.pending, added[0]?.offset]).toEqual([1, 0])
  const again = output.seal()
  send('d')
  output.abandon(new Error('Lost.'))
  await expect(again).rejects.toThrow('Lost.')
  expect(added.slice(2).map(({ abandoned }) => abandoned)).toEqual([true, true])
  const fresh = new SharedOutput(owner, collector, setUp(true).commits)
  fresh.abandon(new Error('Lost.'))
  await expect(fresh.seal()).rejects.toThrow('Lost.')
})
