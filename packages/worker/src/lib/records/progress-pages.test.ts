import { manualClock } from '@millrace/core'
import type { Reader } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { Outside, outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import {
  digestOf,
  pagesIn,
  type ProgressPage,
  progressTopic,
  type ReadingPages,
  referTo,
  splitPages,
  withPages,
} from './progress-pages.ts'

const PAGE_LENGTH = 256 * 1024
const clock = manualClock()
const at = { topic: 'in', partition: 2, offset: 7 }

test.each([0, 1, PAGE_LENGTH, PAGE_LENGTH + 1, 2 * PAGE_LENGTH + 5])(
  'a text of %i characters is split without loss',
  (length) => {
    const text = 'abcdefg'.repeat(Math.ceil(length / 7)).slice(0, length)
    const pages = splitPages(text)
    expect(pages.join('') === text).toBe(true)
    expect(pages.length).toBe(Math.ceil(length / PAGE_LENGTH))
    expect(pages.every((page) => page.length <= PAGE_LENGTH)).toBe(true)
  },
)

test('references to pages survive encoding, and other metadata has none', () => {
  const pages = [
    { partition: 0, offset: 0, digest: digestOf('a') },
    { partition: 40, offset: 123_456_789, digest: digestOf('b') },
  ]
  const metadata = referTo(pages)
  expect(metadata).toMatch(/^m2 @0:0:\S{16} @14:21i3v9:\S{16}$/)
  expect(pagesIn({ ...at, metadata })).toEqual(pages)
  for (const other of ['', 'm1 a:1', 'm2 a:1', 'm2', ' m2 @0:0:abc'])
    expect(pagesIn({ ...at, metadata: other })).toBeUndefined()
})

test.each(['m2 @0:0', 'm2 @0:0:', 'm2 @0:0:a b', 'm2 @0:0:a a@0:0:a', 'm2 @0:0:a@', 'm2 @A:0:a', 'm2 @0:-1:a'])(
  'an unreadable reference is an error, and does not start subscriptions at the offset: %j',
  (metadata) => {
    expect(() => pagesIn({ ...at, metadata })).toThrow(
      expect.objectContaining({ code: 'PROGRESS_MISSING', message: expect.stringContaining('in/2 beyond offset 7') }),
    )
  },
)

/** A progress topic on a memory log with these pages, one record each, between other records. */
async function pagesOnLog(texts: readonly string[]) {
  const log = createMemoryLog()
  const outside = new Outside(log)
  const topic = progressTopic('app')
  const pages: ProgressPage[] = []
  await outside.topic(topic, 2)
  await outside.send(texts.flatMap((text) => [outgoing(topic, 1, null, 'another'), outgoing(topic, 1, null, text)]))
  for (const [nth, text] of texts.entries()) pages.push({ partition: 1, offset: nth * 2 + 1, digest: digestOf(text) })
  const readers = { opened: 0, closed: 0 }
  const transport = createMemoryTransport(log, { clock, log: silentLog })
  const reading: ReadingPages = {
    topic,
    clock,
    reader: (): Reader => {
      readers.opened++
      const reader = transport.reader({ isolation: 'read-uncommitted' })
      const { close } = reader
      return Object.assign(reader, {
        close: async () => {
          readers.closed++
          await close.call(reader)
        },
      })
    },
  }
  return { pages, reading, readers, admin: transport.admin() }
}

test('commits get the text of their pages in order, and those without pages stay as they are', async () => {
  const { pages, reading, readers } = await pagesOnLog(['m2 a:1', ' b:2', ' c:3'])
  const short = { ...at, partition: 1, metadata: 'm1 a:1' }
  const long = { ...at, metadata: referTo(pages) }
  const backwards = { ...at, partition: 3, metadata: referTo(pages.toReversed()) }
  expect(await withPages([short, long, backwards], reading)).toEqual([
    short,
    { ...at, metadata: 'm2 a:1 b:2 c:3' },
    { ...at, partition: 3, metadata: ' c:3 b:2m2 a:1' },
  ])
  expect(readers.opened).toBe(2)
  expect(readers.closed).toBe(2)
})

test('the progress topic is not read if no commit refers to it', async () => {
  const { reading, readers } = await pagesOnLog([])
  const committed = [{ ...at, metadata: 'm1 a:1' }]
  expect(await withPages(committed, reading)).toBe(committed)
  expect(readers.opened).toBe(0)
})

test('a page is found even beyond the offset that the broker reported', async () => {
  const { pages, reading } = await pagesOnLog(['one', 'two'])
  const early = pages.map((page) => ({ ...page, offset: 0 }))
  expect(await withPages([{ ...at, metadata: referTo(early) }], reading)).toMatchObject([{ metadata: 'onetwo' }])
})

test('a reference that cannot be read is shown in part, however long it is', () => {
  const metadata = `m2 @${'x'.repeat(5000)}`
  expect(() => pagesIn({ ...at, metadata })).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/^.{100,600}$/) }),
  )
})

test('a page is found where records before it have been deleted', async () => {
  const { pages, reading, admin } = await pagesOnLog(['one', 'two'])
  await admin.deleteRecords([{ topic: reading.topic, partition: 1, offset: 3 }], { guard: () => {} })
  const early = pages.slice(1).map((page) => ({ ...page, offset: 0 }))
  expect(await withPages([{ ...at, metadata: referTo(early) }], reading)).toMatchObject([{ metadata: 'two' }])
})

test('a missing page or topic is an error that names it', async () => {
  const { pages, reading, readers } = await pagesOnLog(['one'])
  const other = { partition: 1, offset: 1, digest: digestOf('changed') }
  await expect(withPages([{ ...at, metadata: referTo([...pages, other]) }], reading)).rejects.toThrow(
    expect.objectContaining({ code: 'PROGRESS_MISSING', message: expect.stringContaining('app-__progress/1@1') }),
  )
  for (const gone of [{ ...reading, topic: 'gone' }, reading]) {
    const metadata = referTo([{ ...other, partition: 9 }])
    await expect(withPages([{ ...at, metadata }], gone)).rejects.toThrow(
      expect.objectContaining({ code: 'PROGRESS_MISSING', message: expect.stringContaining('/9@1') }),
    )
  }
  expect(readers.closed).toBe(readers.opened)
  const broken = new Error('no connection')
  const reader = (): Reader => {
    throw broken
  }
  await expect(withPages([{ ...at, metadata: referTo(pages) }], { ...reading, reader })).rejects.toBe(broken)
})
