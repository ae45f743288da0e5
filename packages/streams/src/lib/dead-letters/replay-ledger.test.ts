import { replayLedgerTopic, systemClock } from '@millrace/core'
import type { Reader, TopicInfo } from '@millrace/core/driver'
import { describe, expect, it } from 'vitest'
import { ReplayLedger } from './replay-ledger.ts'

/** A broker without topic ids: a recreated topic looks like the original. */
const letters: TopicInfo = { name: 'app-a-dlq', partitions: 1, id: 'app-a-dlq' }

async function ledgerOf(offsets: readonly number[]): Promise<ReplayLedger> {
  const ledger = await ReplayLedger.read({
    appId: 'app',
    clock: systemClock(),
    admin: { topics: async () => [], createTopics: async () => {} },
    transport: {
      reader: () => {
        throw new Error('There is nothing to read.')
      },
    },
  })
  ledger.note(letters, 0, offsets)
  return ledger
}

describe('the record of replayed letters', () => {
  it('is remembered while the topic still has the last of it', async () => {
    const ledger = await ledgerOf([0, 1, 2, 4])
    const ranges = ledger.of(letters, { partition: 0, beginning: 0, end: 5 })
    expect(ranges.toString()).toBe('0-2,4')
  })

  it.each([4, 3, 0])('is forgotten when the topic ends before it: at %d', async (end) => {
    const ledger = await ledgerOf([0, 1, 2, 4])
    expect(ledger.of(letters, { partition: 0, beginning: 0, end }).toString()).toBe('')
    // The old ranges do not return when the new topic has grown.
    expect(ledger.of(letters, { partition: 0, beginning: 0, end: 9 }).toString()).toBe('')
  })

  it('is forgotten when the topic has another id', async () => {
    const ledger = await ledgerOf([0])
    expect(ledger.of({ ...letters, id: 'other' }, { partition: 0, beginning: 0, end: 5 }).toString()).toBe('')
  })
})

describe('the ledger of another version', () => {
  async function ledgerWith(value: string): Promise<ReplayLedger> {
    const name = replayLedgerTopic('app')
    const place = { topic: name, partition: 0 }
    const record = { offset: 0, timestamp: 0, key: Buffer.from('app-a-dlq/0'), value: Buffer.from(value), headers: [] }
    /** Of a topic with one record. */
    const reader: Reader = {
      assign: () => {},
      unassign: () => {},
      offsets: async () => [{ ...place, beginning: 0, end: 1 }],
      close: async () => {},
      async *batches() {
        yield { ...place, position: 0, records: [record], bytes: 0, nextOffset: 1, endOffset: 1 }
      },
    }
    return ReplayLedger.read({
      appId: 'app',
      clock: systemClock(),
      admin: { topics: async () => [{ name, partitions: 1, id: 'id' }], createTopics: async () => {} },
      transport: { reader: () => reader },
    })
  }

  it.each(['{"topicId":"app-a-dlq","replayed":"0-2,4"}', '{"v":1,"topicId":"app-a-dlq","replayed":"0-2,4","later":1}'])(
    'is read: %s',
    async (row) => {
      const ledger = await ledgerWith(row)
      expect(ledger.of(letters, { partition: 0, beginning: 0, end: 5 }).toString()).toBe('0-2,4')
    },
  )

  it('is refused if it is later, because letters would be sent again', async () => {
    await expect(ledgerWith('{"v":2,"replayed":[]}')).rejects.toMatchObject({
      code: 'FORMAT_NEWER',
      message: expect.stringContaining('A row of app-__replays has format 2'),
    })
  })
})
