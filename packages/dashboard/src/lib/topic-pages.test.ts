import { manualClock, type ShownRecord } from '@millrace/core'
import { expect, it } from 'vitest'
import { smallSite } from './fixtures/small-site.fixture.ts'

const admin = { settings: { admin: true } }

function record(offset: number): ShownRecord {
  const [key, value] = [
    { as: 'none', value: undefined },
    { as: 'string', value: `${offset}` },
  ] as const
  return { topic: 'posts', partition: 0, offset, timestamp: offset, key, value, headers: [] }
}

it('gives what has come when reading takes too long, and stops reading', async () => {
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
      sendValue: () => Promise.reject(new Error('Nothing is sent here.')),
    },
  })
  const asked = get('/topics/posts/records/')
  await clock.advance(5_000)
  const answer = await asked
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ records: [{ value: '1' }], complete: false })
  expect(stopped).toBe(true)
})

it('reads no more than so many records, and keeps the newest of them', async () => {
  let read = 0
  const { get } = smallSite({
    ...admin,
    records: {
      async *records() {
        for (;;) yield record(++read)
      },
      sendValue: () => Promise.reject(new Error('Nothing is sent here.')),
    },
  })
  const answer: unknown = await (await get('/topics/posts/records/?last=2')).json()
  expect(answer).toMatchObject({ records: [{ offset: 10_000 }, { offset: 9_999 }], complete: false })
  expect(read).toBe(10_000)
})

it('is off for whoever may not act', async () => {
  const { get } = smallSite({ settings: { admin: false } })
  expect((await get('/topics/posts/records/')).status).toBe(403)
  expect(await (await get('/topics/')).json()).toMatchObject({ send: { on: false } })
})
