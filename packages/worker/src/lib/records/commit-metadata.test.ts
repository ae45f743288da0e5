import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  committedSends,
  decodeCommitMetadata,
  encodeCommitMetadata,
  encodeProgress,
  MAX_METADATA_BYTES,
  parseSend,
  sendText,
} from './commit-metadata.ts'
import type { OffsetRange, Progress } from './positions.ts'

const decode = (offset: number, metadata: string): ReturnType<typeof decodeCommitMetadata> =>
  decodeCommitMetadata({ topic: 't', partition: 0, offset, metadata })

const progressFrom = (offset: number): fc.Arbitrary<Progress> =>
  fc
    .tuple(
      fc.nat(1_000_000),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 10_000 })), { maxLength: 400 }),
    )
    .map(([ahead, steps]) => {
      const finished: OffsetRange[] = []
      let end = offset + ahead
      for (const [gap, length] of steps) {
        finished.push({ from: end + gap, to: end + gap + length })
        end += gap + length
      }
      return { position: offset + ahead, finished }
    })

const committed = fc.nat(2 ** 50).chain((offset) =>
  fc.tuple(
    fc.constant(offset),
    fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }), progressFrom(offset)), {
      maxLength: 6,
    }),
  ),
)

test('decoding returns what was encoded, except for ranges left out at the end', () => {
  fc.assert(
    fc.property(committed, ([offset, list]) => {
      const progress = new Map(list)
      const { text, complete } = encodeCommitMetadata(offset, progress)
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_METADATA_BYTES)
      const read = decode(offset, text)
      for (const [id, { position, finished }] of progress) {
        const got = read.get(id)
        if (position === offset && finished.length === 0) {
          // There may have been no room for it.
          expect(got ?? { position, finished }).toEqual({ position, finished })
          continue
        }
        expect(got?.position).toBe(position)
        expect(got?.finished).toEqual(finished.slice(0, got?.finished.length))
      }
      expect(read.size).toBeLessThanOrEqual(progress.size)
      if (complete)
        for (const [id, one] of progress) expect(read.get(id) ?? { position: offset, finished: [] }).toEqual(one)
      else expect(text.length).toBeGreaterThan(MAX_METADATA_BYTES - 200)
    }),
  )
})

test('long text holds everything, and decodes to the same', () => {
  fc.assert(
    fc.property(committed, ([offset, list]) => {
      const progress = new Map(list)
      expect(decode(offset, encodeProgress(offset, progress))).toEqual(progress)
    }),
  )
})

test.each(['m2 a', 'm2 a:1,2', 'm2 %E0:1', 'm2 a:zzzzzzzzzzzzzzzz', 'm2 @0:0:abc', 'm2 a:1 ;w=1'])(
  'unreadable long text is an error, and does not start subscriptions at the offset: %j',
  (metadata) => {
    expect(() => decode(5, metadata)).toThrow(expect.objectContaining({ code: 'PROGRESS_MISSING' }))
  },
)

test('the metadata names all readers of the partition, even those exactly at the offset', () => {
  const at = { position: 7, finished: [] }
  const { text } = encodeCommitMetadata(
    7,
    new Map([
      ['a b', at],
      ['c', { position: 9, finished: [] }],
    ]),
  )
  expect(text).toBe('m1 c:2 a%20b:0')
  expect([...decode(7, text)]).toEqual([
    ['c', { position: 9, finished: [] }],
    ['a b', at],
  ])
})

test('entries for sends are skipped when progress is read, and take no room from subscriptions', () => {
  const sends = new Set([sendText({ agent: 'split', topic: 'words.v1' }), sendText({ agent: 'a-b', topic: 'c_d' })])
  const { text } = encodeCommitMetadata(7, new Map([['split', { position: 9, finished: [] }]]), sends)
  expect(text).toBe('m1 split:2 >split>words.v1:0 >a-b>c_d:0')
  expect([...decode(7, text).keys()]).toEqual(['split'])
  expect(committedSends(text)).toEqual(sends)
  expect([...committedSends(text)].map((each) => parseSend(each))).toEqual([
    { agent: 'split', topic: 'words.v1' },
    { agent: 'a-b', topic: 'c_d' },
  ])
  const gaps = Array.from({ length: 2_000 }, (_, i) => ({ from: 20 + i * 2, to: 21 + i * 2 }))
  const full = new Map([['split', { position: 9, finished: gaps }]])
  const many = new Set(Array.from({ length: 200 }, (_, i) => sendText({ agent: 'split', topic: `topic-${i}` })))
  const crowded = encodeCommitMetadata(7, full, many)
  expect(crowded.text.startsWith(encodeCommitMetadata(7, full).text)).toBe(true)
  expect(crowded.text.length).toBeLessThanOrEqual(MAX_METADATA_BYTES)
  const roomy = encodeCommitMetadata(7, new Map([['split', { position: 9, finished: [] }]]), many)
  expect(roomy).toMatchObject({ complete: true })
  expect(roomy.text.length).toBeLessThan(1_100)
})

test('with too many subscriptions some are left out, and none is wrong', () => {
  const progress = new Map(
    Array.from({ length: 500 }, (_, i) => [`agent-number-${i}`, { position: 100 + i, finished: [] }]),
  )
  const { text, complete } = encodeCommitMetadata(100, progress)
  expect(complete).toBe(false)
  expect(text.length).toBeLessThanOrEqual(MAX_METADATA_BYTES)
  const read = decode(100, text)
  expect(read.size).toBeGreaterThan(100)
  for (const [id, one] of read) expect(one).toEqual(progress.get(id))
})

test.each(['', 'saved by another tool', 'm0 a:1', 'mx2', 'm1 a', 'm1 a:1,2', 'm1 %E0:1', 'm1 a:zzzzzzzzzzzzzzzz'])(
  'metadata %j holds no progress',
  (metadata) => {
    expect(decode(5, metadata).size).toBe(0)
  },
)

const finishedAlternately = (count: number): readonly OffsetRange[] =>
  Array.from({ length: count }, (_, nth) => ({ from: 11 + nth * 2, to: 12 + nth * 2 }))

test('a commit is complete only with every range of every subscription', () => {
  const short = { position: 10, finished: finishedAlternately(1) }
  const long = { position: 10, finished: finishedAlternately(2_000) }
  expect(encodeCommitMetadata(10, new Map([['short', short]])).complete).toBe(true)
  for (const progress of [
    new Map([['long', long]]),
    new Map([
      ['short', short],
      ['long', long],
    ]),
    new Map([
      ['long', long],
      ['short', short],
    ]),
  ]) {
    const { text, complete } = encodeCommitMetadata(10, progress)
    expect(complete).toBe(false)
    // The long entry takes no room from the short one.
    if (progress.has('short')) expect(decode(10, text).get('short')).toEqual(short)
  }
})

test('no subscriptions and no sends give no text', () => {
  expect(encodeCommitMetadata(7, new Map())).toEqual({ text: '', complete: true })
  expect(encodeCommitMetadata(7, new Map(), new Set(['>a>t:0']))).toEqual({ text: 'm1 >a>t:0', complete: true })
  expect(encodeCommitMetadata(7, new Map(), new Set(), ['<a<1:0'])).toEqual({ text: 'm1 <a<1:0', complete: true })
})

test('times, positions, ranges, names and sends use the room to its last byte and never exceed it', () => {
  const behind = (length: number): ReadonlyMap<string, Progress> =>
    new Map([['a'.repeat(length), { position: 8, finished: [] }]])
  // The parts "m1 " and ":1" take five bytes.
  expect(encodeCommitMetadata(7, behind(MAX_METADATA_BYTES - 5)).text.length).toBe(MAX_METADATA_BYTES)
  expect(encodeCommitMetadata(7, behind(MAX_METADATA_BYTES - 4))).toEqual({ text: 'm1', complete: false })

  // The part ",1+1" takes four more.
  const ranged = (length: number): ReadonlyMap<string, Progress> =>
    new Map([['a'.repeat(length), { position: 8, finished: [{ from: 9, to: 10 }] }]])
  expect(encodeCommitMetadata(7, ranged(MAX_METADATA_BYTES - 9))).toMatchObject({ complete: true })
  expect(encodeCommitMetadata(7, ranged(MAX_METADATA_BYTES - 8))).toMatchObject({ complete: false })

  const standing = (length: number): ReadonlyMap<string, Progress> =>
    new Map([['a'.repeat(length), { position: 7, finished: [] }]])
  expect(encodeCommitMetadata(7, standing(MAX_METADATA_BYTES - 5)).text.length).toBe(MAX_METADATA_BYTES)
  expect(encodeCommitMetadata(7, standing(MAX_METADATA_BYTES - 4))).toEqual({ text: 'm1', complete: true })
  const many = new Map(Array.from({ length: 1_000 }, (_, nth) => [`agent-${nth}`, { position: 7, finished: [] }]))
  const { text: names } = encodeCommitMetadata(7, many)
  expect(names.length).toBeLessThanOrEqual(MAX_METADATA_BYTES)
  expect(names.length).toBeGreaterThan(MAX_METADATA_BYTES - 20)

  const time = (length: number): string => `<${'a'.repeat(length - 5)}<1:0`
  const full = encodeCommitMetadata(7, new Map(), new Set(), [time(2_000), time(MAX_METADATA_BYTES - 2_004)])
  expect(full.complete).toBe(true)
  expect(full.text.length).toBe(MAX_METADATA_BYTES)
  expect(encodeCommitMetadata(7, new Map(), new Set(), [time(2_000), time(MAX_METADATA_BYTES - 2_003)])).toEqual({
    text: `m1 ${time(2_000)}`,
    complete: false,
  })

  // Sends may take 1,024 bytes, or less if the others leave less.
  const send = (length: number): Set<string> => new Set([`>a>${'t'.repeat(length - 5)}:0`])
  expect(encodeCommitMetadata(7, new Map(), send(1_023)).text.length).toBe(1_026)
  expect(encodeCommitMetadata(7, new Map(), send(1_024)).text).toBe('m1')
  expect(encodeCommitMetadata(7, behind(MAX_METADATA_BYTES - 15), send(9)).text.length).toBe(MAX_METADATA_BYTES)
  expect(encodeCommitMetadata(7, behind(MAX_METADATA_BYTES - 14), send(9)).text).not.toContain('>')
})

test.each(['m3', 'm10 a:1'])('metadata of a later release is refused rather than ignored: %j', (metadata) => {
  expect(() => decode(5, metadata)).toThrow(expect.objectContaining({ code: 'FORMAT_NEWER' }))
})

test.each(['xm9', 'm9x', 'm9.1 a:1', 'm1 a:1;w=1'])(
  'text that only resembles a later format holds no progress: %j',
  (metadata) => {
    expect(decode(5, metadata).size).toBe(0)
  },
)

test('fields that later releases add to an entry of long text are skipped', () => {
  expect(decode(5, 'm2 a:1,1+1;w=1;x=2 b:2')).toEqual(
    new Map([
      ['a', { position: 6, finished: [{ from: 7, to: 8 }] }],
      ['b', { position: 7, finished: [] }],
    ]),
  )
})

test.each(['a:1', 'x>a>t:0', '>a>t:01', '>a>t:0 ', '>a:0', '>a>:0', ''])('%j is no send', (entry) => {
  expect(parseSend(entry)).toBeUndefined()
})
