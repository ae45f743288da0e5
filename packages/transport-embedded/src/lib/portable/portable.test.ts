import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { smallDisk } from '@millrace/conformance'
import { type Logger, type OutgoingRecord, partitionsOf, type RawRecord, systemClock } from '@millrace/core'
import type { TopicInfo, Transport } from '@millrace/core/driver'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { createEmbeddedTransport, type EmbeddedTransport } from '../embedded-transport.ts'
import { exportLog } from './export-log.ts'
import { importLog } from './import-log.ts'

const clock = systemClock()
const log: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const root = mkdtempSync(join(tmpdir(), 'millrace-portable-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0
const newDirectory = (): string => join(root, String(++directories))
const { signal } = new AbortController()
const WORDS = { name: 'words', partitions: 1, replicationFactor: 1, config: {} }

async function opened<T>(directory: string, work: (transport: EmbeddedTransport) => Promise<T>): Promise<T> {
  const transport = createEmbeddedTransport({ directory, durability: 'process' }, { clock, log })
  await transport.connect({ timeoutMs: 5000 })
  try {
    return await work(transport)
  } finally {
    await transport.close()
  }
}

async function exported(directory: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  await exportLog({ directory, clock, timeoutMs: 5000 }, async (piece) => void pieces.push(piece), signal)
  return Buffer.concat(pieces)
}

/** In pieces that end anywhere. */
async function* pieces(text: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size)
}

const imported = (text: Buffer, size?: number): { readonly directory: string; readonly done: Promise<unknown> } => {
  const directory = newDirectory()
  return { directory, done: importLog(pieces(text, size), { directory, signal }) }
}

interface Contents {
  readonly topics: readonly TopicInfo[]
  readonly settings: unknown
  readonly offsets: unknown
  readonly records: readonly RawRecord[]
  readonly committed: unknown
}

async function contentsOf(transport: Transport, groups: readonly string[]): Promise<Contents> {
  const admin = transport.admin()
  const topics = await admin.topics()
  const places = topics.flatMap(({ name, partitions }) => partitionsOf(name, partitions))
  const offsets = await admin.offsets(places, 'read-committed')
  const records: RawRecord[] = []
  for (const { topic, partition, beginning, end } of offsets) {
    if (beginning === end) continue
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition }, beginning)
    for await (const batch of reader.batches()) {
      records.push(...batch.records)
      if (batch.nextOffset >= end) break
    }
    await reader.close()
  }
  const committed = await Promise.all(groups.map((group) => admin.committed(group)))
  return { topics, settings: await admin.topicSettings(topics.map(({ name }) => name)), offsets, records, committed }
}

const bytes = fc.option(fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)))
const record = fc.record({
  topic: fc.constantFrom('one', 'Two.2'),
  partition: fc.nat(2),
  key: fc.option(fc.constantFrom('a', 'b', 'c').map((key) => Buffer.from(key))),
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), bytes), { maxLength: 2 }),
  timestamp: fc.integer({ min: -5, max: 2 ** 45 }),
})

test('an imported log equals the original in offsets, holes, ids, settings and commits, and continues from there', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 60 }),
      fc.nat(10),
      fc.integer({ min: 1, max: 5000 }),
      async (records, deleted, size) => {
        const directory = newDirectory()
        const before = await opened(directory, async (transport) => {
          const admin = transport.admin()
          await admin.createTopics([
            { name: 'one', partitions: 3, replicationFactor: 1, config: { 'cleanup.policy': 'compact' } },
            { name: 'Two.2', partitions: 3, replicationFactor: 1, config: { 'retention.ms': '-1' } },
            { name: 'empty', partitions: 1, replicationFactor: 1, config: {} },
          ])
          const half = Math.floor(records.length / 2)
          for (const some of [records.slice(0, half), records.slice(half)])
            await transport.producer().send(some, { guard: () => {} })
          await transport.compact('one')
          const [bounds] = await admin.offsets([{ topic: 'Two.2', partition: 1 }], 'read-committed')
          const offset = Math.min(deleted, bounds?.end ?? 0)
          await admin.deleteRecords([{ topic: 'Two.2', partition: 1, offset }], { guard: () => {} })
          await admin.commit('group/1', [{ topic: 'one', partition: 2, offset: 1, metadata: 'm1 "a":0' }])
          return contentsOf(transport, ['group/1'])
        })
        const text = await exported(directory)
        const copy = imported(text, size)
        await copy.done
        // Nothing but the log is left of it.
        expect(readdirSync(copy.directory).sort()).toEqual(['millrace-log.json', 'millrace-log.mdb'])
        expect(await exported(copy.directory)).toEqual(text)
        await opened(copy.directory, async (transport) => {
          expect(await contentsOf(transport, ['group/1'])).toEqual(before)
          const next: OutgoingRecord = { topic: 'one', partition: 0, key: null, value: null, headers: [], timestamp: 1 }
          const [outcome] = await transport.producer().send([next], { guard: () => {} })
          const [first] = await transport.admin().offsets([{ topic: 'one', partition: 0 }], 'read-committed')
          expect(outcome).toEqual({ ok: true, offset: (first?.end ?? 0) - 1 })
        })
      },
    ),
    { numRuns: 25 },
  )
})

async function small(): Promise<Buffer> {
  const directory = newDirectory()
  await opened(directory, async (transport) => {
    await transport.admin().createTopics([{ name: 't', partitions: 2, replicationFactor: 1, config: {} }])
    const one = { topic: 't', partition: 0, key: Buffer.from('k'), value: Buffer.from('v'), headers: [], timestamp: 5 }
    await transport.producer().send([one, one, { ...one, partition: 1 }], { guard: () => {} })
    await transport.admin().commit('g', [{ topic: 't', partition: 0, offset: 2, metadata: '' }])
  })
  return exported(directory)
}

test('a truncated or changed text is an error that names the line, and leaves no log', async () => {
  const text = await small()
  await imported(text).done
  const whole = text.toString().split('\n').length - 1
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.boolean(), async (at, isCut) => {
      const changed = isCut ? text.subarray(0, at) : Buffer.from(text)
      if (!isCut) changed[at] = (changed[at] ?? 0) ^ 1
      const { directory, done } = imported(changed)
      await expect(done).rejects.toMatchObject({
        code: expect.stringMatching(/LOG_TEXT_BROKEN|FORMAT_NEWER/),
        message: expect.stringMatching(/[Ll]ine \d+|has format/),
      })
      expect(readdirSync(directory)).toEqual([])
    }),
    { numRuns: 200 },
  )
  const cut = imported(text.subarray(0, text.lastIndexOf('\n', text.length - 2) + 1))
  await expect(cut.done).rejects.toThrow(`The text is cut off behind line ${whole - 1}: it has no end.`)
})

test('a later version of the text is refused', async () => {
  const text = Buffer.from((await small()).toString().replace('"version":1', '"version":2'))
  await expect(imported(text).done).rejects.toMatchObject({ code: 'FORMAT_NEWER' })
})

test('an existing log refuses an import, and a missing one an export', async () => {
  const text = await small()
  const { directory, done } = imported(text)
  await done
  const before = await exported(directory)
  await expect(importLog(pieces(text), { directory, signal })).rejects.toMatchObject({
    code: 'LOG_EXISTS',
    fix: expect.stringContaining('move the directory away'),
  })
  expect(await exported(directory)).toEqual(before)
  const empty = newDirectory()
  await expect(exported(empty)).rejects.toMatchObject({ code: 'LOG_MISSING' })
  expect(existsSync(empty)).toBe(false)
})

test('is a snapshot of one moment, while others write', async () => {
  const directory = newDirectory()
  await opened(directory, async (transport) => {
    await transport.admin().createTopics([{ name: 't', partitions: 2, replicationFactor: 1, config: {} }])
    const producer = transport.producer()
    let ended = false
    let sent = 0
    const writing = (async () => {
      // One append for both partitions.
      for (; !ended; sent++)
        await producer.send(
          [0, 1].map((partition) => ({
            topic: 't',
            partition,
            key: null,
            value: Buffer.alloc(100),
            headers: [],
            timestamp: sent,
          })),
          { guard: () => {} },
        )
    })()
    const texts = [await exported(directory), await exported(directory), await exported(directory)]
    ended = true
    await writing
    for (const text of texts) {
      const ends = text
        .toString()
        .split('\n')
        .flatMap((line) => (line.startsWith('{"partition"') ? [JSON.parse(line).end] : []))
      expect(ends[0]).toBe(ends[1])
    }
    expect(new Set(texts.map(String)).size).toBe(3)
  })
})

test.skipIf(process.platform === 'win32')(
  'the copy behind an export has no name, so that a dying process leaves none behind',
  async () => {
    const directory = newDirectory()
    await opened(directory, (transport) => transport.admin().createTopics([WORDS]))
    const before = readdirSync(directory)
    const seen: (readonly string[])[] = []
    const place = { directory, clock, timeoutMs: 5000 }
    await exportLog(place, async () => void seen.push(readdirSync(directory)), signal)
    expect(seen).toEqual([before])
  },
)

test('without disk space nothing is imported, and nothing is left', async ({ skip }) => {
  const disk = smallDisk(1024 * 1024)
  if (disk === undefined) return skip('It takes root on Linux to mount a small disk.')
  try {
    const source = newDirectory()
    await opened(source, async (transport) => {
      await transport.admin().createTopics([WORDS])
      const record = { topic: 'words', partition: 0, key: null, headers: [], timestamp: 1 }
      for (let round = 0; round < 3; round++)
        await transport.producer().send([{ ...record, value: Buffer.alloc(700_000, round) }], { guard: () => {} })
    })
    const directory = join(disk.directory, 'data')
    await expect(importLog(pieces(await exported(source)), { directory, signal })).rejects.toThrow(
      /LOG_UNUSABLE: The log in ".*" (could not be written|cannot be opened)/,
    )
    expect(readdirSync(directory)).toEqual([])
  } finally {
    disk.remove()
  }
})

test('the text of an earlier version', async () => {
  const text = [
    '{"millrace":"log","version":1,"durability":"process"}',
    '{"topic":"t","id":"7","partitions":1,"config":{"cleanup.policy":"compact"}}',
    '{"partition":0,"start":5,"end":9}',
    '{"batch":5,"span":3,"appendedAt":1764284400000,"records":[[0,1764284399000,"aw==",null,[["h","dg=="],["n",null]]],[2,7,null,"dmFsdWU=",[]]]}',
    '{"batch":8,"span":1,"appendedAt":1764284400001,"records":[]}',
    '{"group":"g","topic":"t","partition":0,"offset":8,"metadata":"m1 a:0"}',
    '{"summary":{"records":2,"sha256":"58c8e14f697baf2a30a249343aca612f9fafd1e9a00f2083394000b149466b9e"}}',
    '',
  ].join('\n')
  const { directory, done } = imported(Buffer.from(text))
  await done
  await opened(directory, async (transport) => {
    const found = await contentsOf(transport, ['g'])
    expect(found).toMatchObject({
      topics: [{ name: 't', id: '7', partitions: 1 }],
      offsets: [{ topic: 't', partition: 0, beginning: 5, end: 9 }],
      committed: [[{ topic: 't', partition: 0, offset: 8, metadata: 'm1 a:0' }]],
    })
    expect(found.records).toEqual([
      {
        offset: 5,
        timestamp: 1764284399000,
        key: Buffer.from('k'),
        value: null,
        headers: [
          ['h', Buffer.from('v')],
          ['n', null],
        ],
      },
      { offset: 7, timestamp: 7, key: null, value: Buffer.from('value'), headers: [] },
    ])
  })
})
