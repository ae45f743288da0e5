import { manualClock } from '@millrace/core'
import type { ShownRecord } from '@millrace/core/operations'
import { expect, it } from 'vitest'
import { mustReadOnce, smallSite } from './fixtures/small-site.fixture.ts'

const admin = { settings: { admin: true } }

function record(offset: number): ShownRecord {
  const [key, value] = [
    { as: 'none', value: undefined },
    { as: 'string', value: `${offset}` },
  ] as const
  return { topic: 'posts', partition: 0, offset, timestamp: offset, key, value, headers: [] }
}

it('answers the records read so far when reading takes too long, and stops reading', async () => {
  const clock = manualClock()
  let stopped = false
  const { get } = smallSite({
    ...admin,
    clock,
    records: {
      async *records(_, { signal }) {
        yield record(1)
        await new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve())
        })
        stopped = true
        throw signal?.reason
      },
      sendValue: () => Promise.reject(new Error('Sending is not expected.')),
    },
  })
  const asked = get('/topics/posts/records/')
  await clock.advance(5_000)
  const answer = await asked
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ records: [{ value: '1' }], complete: false })
  expect(stopped).toBe(true)
})

it('reads a limited number of records, and keeps the newest', async () => {
  let read = 0
  const { get } = smallSite({
    ...admin,
    records: {
      async *records() {
        for (;;) yield record(++read)
      },
      sendValue: () => Promise.reject(new Error('Sending is not expected.')),
    },
  })
  const answer: unknown = await (await get('/topics/posts/records/?last=2')).json()
  expect(answer).toMatchObject({ records: [{ offset: 10_000 }, { offset: 9_999 }], complete: false })
  expect(read).toBe(10_000)
})

it('reads once for concurrent callers, and stops when the last of them has left', async () => {
  const reads: AbortSignal[] = []
  const { get } = smallSite({
    ...admin,
    records: {
      // oxlint-disable-next-line require-yield -- nothing comes
      async *records(_, { signal }) {
        if (signal === undefined) throw new Error('Reading is never stopped.')
        reads.push(signal)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        throw signal.reason
      },
      sendValue: () => Promise.reject(new Error('Sending is not expected.')),
    },
  })
  await mustReadOnce(get, '/topics/posts/records/', reads)
})

it('shortens long texts and values without a JSON form, and reads no more records than fit', async () => {
  let read = 0
  const long = 'x'.repeat(1_000_000)
  const { get } = smallSite({
    ...admin,
    records: {
      async *records() {
        for (;;)
          yield {
            ...record(++read),
            key: { as: 'string', value: long },
            value: { as: 'own', value: read % 2 === 0 ? { id: 2n ** 64n } : { id: 1n, long } },
            headers: Array.from({ length: 500 }, () => ['h', Buffer.from(long)] as const),
          }
      },
      sendValue: () => Promise.reject(new Error('Sending is not expected.')),
    },
  })
  const answer = await (await get('/topics/posts/records/?last=2')).text()
  expect(answer.length).toBeLessThan(512 * 1024)
  const { records, complete }: { records: { value: unknown; cut: boolean }[]; complete: boolean } = JSON.parse(answer)
  expect(complete).toBe(false)
  expect(records[0]).toMatchObject({ cut: true, key: 'x'.repeat(8 * 1024) })
  expect(records.map(({ value }) => value)).toContainEqual(
    read < 3 ? expect.anything() : { id: '18446744073709551616' },
  )
  expect(read).toBeLessThan(35)
})

it('is refused to callers who may not act', async () => {
  const { get } = smallSite({ settings: { admin: false } })
  expect((await get('/topics/posts/records/')).status).toBe(403)
  expect(await (await get('/topics/')).json()).toMatchObject({ send: { on: false } })
})
