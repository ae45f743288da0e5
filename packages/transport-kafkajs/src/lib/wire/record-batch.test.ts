import { NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compressionBits, gzipCodec } from '../compression/compression.ts'
import { installedCodecs } from '../compression/installed-codecs.ts'
import { crc32c } from './crc32c.ts'
import type { DecodedRecords } from './decoded-stretch.ts'
import { RecordSet, type Decoded, type RecordSetOptions } from './record-set.ts'
import {
  encodeRecordBatch,
  NO_PRODUCER,
  recordSize,
  sizeOfVarint,
  writeVarint,
  type BatchProducer,
} from './encode-record-batch.ts'

const UNCOMPRESSED = { bits: 0, codec: undefined }
const CODECS = { gzip: gzipCodec }

const bytes = fc.option(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  { nil: null },
)
const record: fc.Arbitrary<OutgoingRecord> = fc.record({
  topic: fc.constant('t'),
  partition: fc.constant(0),
  key: bytes,
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 8, unit: 'grapheme' }), bytes), { maxLength: 4 }),
  timestamp: fc.integer({ min: 0, max: 4_102_444_800_000 }),
})

describe('encoding and decoding', () => {
  test('round-trips records, compressed or not', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 2 ** 50 }),
        (records, gzip, baseOffset) => {
          const compression = gzip ? { bits: compressionBits('gzip'), codec: gzipCodec } : UNCOMPRESSED
          const batch = at(encodeRecordBatch(records, NO_PRODUCER, compression), baseOffset)
          const decoded = decode(batch, { position: baseOffset })
          const given = decoded.records.map(({ offset, timestamp, key, value, headers }) => ({
            offset,
            timestamp,
            key,
            value,
            headers,
          }))
          expect(given).toEqual(
            records.map(({ key, value, headers, timestamp }, i) => ({
              offset: baseOffset + i,
              timestamp,
              key,
              value,
              headers: headers.length === 0 ? NO_HEADERS : headers,
            })),
          )
          expect(decoded.nextOffset).toBe(baseOffset + records.length)
          if (!gzip)
            expect(batch.length).toBeLessThanOrEqual(61 + records.reduce((size, each) => size + recordSize(each), 0))
        },
      ),
    )
  })

  test('the header has the first and the latest time, wherever in the batch the latest is', () => {
    for (const times of [[5_000, 9_000, 7_000], [9_000, 5_000, 7_000], [5_000, 7_000, 9_000], [6_000]]) {
      const timed = records(times.length).map((each, i) => ({ ...each, timestamp: times[i] ?? 0 }))
      const batch = encodeRecordBatch(timed, NO_PRODUCER, UNCOMPRESSED)
      expect(Number(batch.readBigInt64BE(27))).toBe(times[0])
      expect(Number(batch.readBigInt64BE(35))).toBe(Math.max(...times))
    }
  })

  test('records before the position are dropped, and a truncated batch is left for the next fetch', () => {
    const data = Buffer.concat([at(batchOf(5), 0), at(batchOf(5), 5)])
    expect(offsets(decode(data, { position: 3 }))).toEqual([3, 4, 5, 6, 7, 8, 9])
    const cut = decode(data.subarray(0, data.length - 1), { position: 0 })
    expect(offsets(cut)).toEqual([0, 1, 2, 3, 4])
    expect(cut.nextOffset).toBe(5)
  })

  test('a batch that compaction has emptied still moves the position', () => {
    const emptied = at(batchOf(4), 10).subarray(0, 61)
    emptied.writeInt32BE(61 - 12, 8)
    emptied.writeInt32BE(0, 57)
    expect(decode(Buffer.concat([at(batchOf(1), 9), sealed(emptied)]), { position: 9 })).toMatchObject({
      nextOffset: 14,
      records: [{ offset: 9 }],
    })
  })

  test('an offset beyond the safe integers is an error', () => {
    const data = at(batchOf(1), 0)
    data.writeBigInt64BE(2n ** 53n, 0)
    expect(() => decode(data, { position: 0 })).toThrow(/OFFSET_UNSAFE/)
  })

  test('an older message format is an error', () => {
    const data = at(oldMessage(), 0)
    expect(() => decode(data, { position: 0 })).toThrow(/DECODE_FAILED.*message format 1/)
  })

  test('a codec that is not installed is an error that names its package', () => {
    const data = encodeRecordBatch(records(1), NO_PRODUCER, { bits: compressionBits('lz4'), codec: undefined })
    expect(() => decode(data, { position: 0 })).toThrow(/COMPRESSION_MISSING.*lz4-napi/)
  })
})

describe('damage', () => {
  test('a flipped bit is found anywhere under the checksum, or in it', () => {
    const good = at(batchOf(5), 0)
    fc.assert(
      fc.property(fc.integer({ min: 17 * 8, max: good.length * 8 - 1 }), (bit) => {
        const bad = flipped(good, bit)
        expect(() => decode(bad, { position: 0 })).toThrow(/BATCH_CORRUPT.*checksum/)
      }),
    )
  })

  test('a wrong checksum is ignored if verification is off', () => {
    const bad = flipped(at(batchOf(5), 0), 17 * 8)
    expect(offsets(decode(bad, { position: 0, verifyChecksums: false }))).toEqual([0, 1, 2, 3, 4])
  })

  test('records before a damaged batch are delivered first', () => {
    const data = Buffer.concat([at(batchOf(5), 0), flipped(at(batchOf(5), 5), 30 * 8), at(batchOf(5), 10)])
    const decoded = decode(data, { position: 2 })
    expect(offsets(decoded)).toEqual([2, 3, 4])
    expect(decoded.nextOffset).toBe(5)
    expect(() => decode(data.subarray(batchOf(5).length), { position: 5 })).toThrow(/BATCH_CORRUPT/)
  })

  test('records behind a damaged batch can be read if its end is certain', () => {
    const good = at(batchOf(5), 5)
    const behind = at(batchOf(5), 10)
    fc.assert(
      fc.property(fc.integer({ min: 17 * 8, max: good.length * 8 - 1 }), fc.boolean(), (bit, followed) => {
        const bad = flipped(good, bit)
        const set = recordSet(Buffer.concat(followed ? [bad, behind] : [bad]), { position: 6 })
        const broken = set.next()
        if (broken instanceof Promise || broken.kind !== 'unreadable') throw new Error('It was read.')
        expect(broken).toMatchObject({ firstOffset: 6, data: bad })
        // Never a wrong end, and never an unknown one if only bytes after the header are damaged.
        if (broken.nextOffset === undefined) expect(bit).toBeLessThan(61 * 8)
        else expect(broken.nextOffset).toBe(10)
        if (broken.nextOffset !== undefined && followed) expect(set.next()).toMatchObject({ nextOffset: 15 })
        expect(set.exhausted).toBe(true)
      }),
    )
  })

  test('a truncated first batch and impossible lengths are found too', () => {
    const good = at(batchOf(5), 0)
    expect(() => decode(good.subarray(0, 30), { position: 0 })).toThrow(/BATCH_CORRUPT.*cut off/)
    expect(() => decode(good.subarray(0, good.length - 1), { position: 0 })).toThrow(/BATCH_CORRUPT.*cut off/)
    for (const length of [-50, -12, 0, 48]) {
      const bad = Buffer.from(good)
      bad.writeInt32BE(length, 8)
      expect(() => decode(bad, { position: 0 })).toThrow(/BATCH_CORRUPT.*less than its header/)
    }
  })
})

describe('whether compaction has taken something', () => {
  const whole = async (batches: readonly Buffer[], position = 0): Promise<boolean> => {
    const set = recordSet(Buffer.concat(batches), {
      position,
      isolation: 'read-committed',
      aborted: [{ producerId: 7, firstOffset: 3 }],
    })
    const decoded = await decodeAll(set)
    return decoded.every((one) => one.kind === 'records' && one.whole)
  }

  test('shows between batches and within them; aborted records and transaction markers count as present', async () => {
    const aborted = at(encodeRecordBatch(records(2), producer(7), UNCOMPRESSED), 3)
    const all = [at(batchOf(3), 0), aborted, at(marker(7, 'abort'), 5), at(batchOf(2), 6)]
    expect(await whole(all)).toBe(true)
    expect(await whole(all, 1)).toBe(true)
    // A batch is gone, or the marker.
    expect(await whole([...all.slice(0, 1), ...all.slice(3)])).toBe(false)
    expect(await whole([...all.slice(0, 2), ...all.slice(3)])).toBe(false)
    expect(await whole(all.slice(1), 0)).toBe(false)
    // A record of a batch of four is gone; the batch keeps its bounds.
    const thinned = at(batchOf(3), 0)
    thinned.writeInt32BE(3, 23)
    thinned.writeUInt32BE(crc32c(thinned.subarray(21)), 17)
    expect(await whole([thinned, at(batchOf(1), 4)])).toBe(false)
  })
})

describe('what cannot be decoded', () => {
  test('names its offsets, and the records before and behind it are read', async () => {
    const lz4 = { bits: compressionBits('lz4'), codec: undefined }
    const old = at(oldMessage(), 8)
    const set = recordSet(
      Buffer.concat([
        at(batchOf(3), 0),
        at(encodeRecordBatch(records(2), NO_PRODUCER, lz4), 3),
        at(batchOf(3), 5),
        old,
        at(batchOf(1), 9),
      ]),
      { position: 1 },
    )
    expect(await decodeAll(set)).toMatchObject([
      { kind: 'records', nextOffset: 3, records: [{ offset: 1 }, { offset: 2 }] },
      { kind: 'unreadable', firstOffset: 3, nextOffset: 5, error: { code: 'COMPRESSION_MISSING' } },
      { kind: 'records', nextOffset: 8 },
      { kind: 'unreadable', firstOffset: 8, nextOffset: 9, error: { code: 'DECODE_FAILED' } },
      { kind: 'records', nextOffset: 10, records: [{ offset: 9 }] },
    ])
  })

  test('is skipped silently if it is before the position, or aborted', async () => {
    const lz4 = { bits: compressionBits('lz4'), codec: undefined }
    const data = Buffer.concat([
      at(encodeRecordBatch(records(2), NO_PRODUCER, lz4), 0),
      at(encodeRecordBatch(records(2), producer(7), lz4), 2),
      at(marker(7, 'abort'), 4),
      at(batchOf(1), 5),
    ])
    const set = recordSet(data, {
      position: 2,
      isolation: 'read-committed',
      aborted: [{ producerId: 7, firstOffset: 2 }],
    })
    expect(await decodeAll(set)).toMatchObject([{ kind: 'records', nextOffset: 6, records: [{ offset: 5 }] }])
  })

  test('any bytes give a record set or a reason, and never more records than there is room for', () => {
    const good = Buffer.concat([at(batchOf(5), 0), at(batchOf(5), 5)])
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 21, max: good.length - 1 }), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        (changes) => {
          const bad = Buffer.from(good)
          for (const [place, byte] of changes) bad[place] = byte
          const decoded = recordSet(bad, { position: 0, verifyChecksums: false, codecs: {} }).next()
          if (decoded instanceof Promise) throw new Error('It was unpacked.')
          if (decoded.kind === 'unreadable') return
          expect(decoded.records.length).toBeLessThanOrEqual(10)
          for (const { offset } of decoded.records) expect(offset).toBeLessThan(decoded.nextOffset)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('a batch that claims two thousand million records is refused at once', () => {
    const bad = at(batchOf(1), 0)
    bad.writeInt32BE(2_000_000_000, 57)
    expect(() => decode(sealed(bad), { position: 0 })).toThrow(/DECODE_FAILED.*does not fit/)
  })
})

describe('timestamps', () => {
  test('beyond the range of dates are moved to the nearest possible one, and counted', () => {
    const batch = at(batchOf(3), 0)
    batch.writeBigInt64BE(2n ** 62n, 27)
    const decoded = decode(sealed(batch), { position: 1 })
    expect(decoded.records.map(({ timestamp }) => timestamp)).toEqual([8.64e15, 8.64e15])
    expect(decoded.clampedTimestamps).toBe(2)
    expect(new Date(decoded.records[0]?.timestamp ?? 0).toISOString()).toBe('+275760-09-13T00:00:00.000Z')
    batch.writeBigInt64BE(-(2n ** 62n), 27)
    expect(decode(sealed(batch), { position: 2 })).toMatchObject({
      clampedTimestamps: 1,
      records: [{ timestamp: -8.64e15 }],
    })
  })

  test('that the broker sets for the whole batch are handled the same', () => {
    const batch = at(batchOf(2), 0)
    batch.writeInt16BE(0x08, 21)
    batch.writeBigInt64BE(2n ** 60n, 35)
    expect(decode(sealed(batch), { position: 0 }).clampedTimestamps).toBe(2)
    batch.writeBigInt64BE(5_000n, 35)
    expect(decode(sealed(batch), { position: 0 })).toMatchObject({
      clampedTimestamps: 0,
      records: [{ timestamp: 5_000 }, { timestamp: 5_000 }],
    })
  })
})

describe('large batches', () => {
  const large = (bytes: number): OutgoingRecord[] =>
    Array.from({ length: 10 }, (_, i) => ({
      topic: 't',
      partition: 0,
      key: null,
      value: Buffer.alloc(bytes / 10, i),
      headers: NO_HEADERS,
      timestamp: 1_000,
    }))

  test('are unpacked off the event loop, small ones at once', async () => {
    const codecs = await installedCodecs({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} })
    for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const compression = { bits: compressionBits(name), codec: codecs[name] }
      const small = at(encodeRecordBatch(large(100_000), NO_PRODUCER, compression), 0)
      expect(recordSet(small, { position: 0, codecs }).next(), name).toMatchObject({ nextOffset: 10, bytes: 100_000 })
      const packed = at(encodeRecordBatch(large(8_000_000), NO_PRODUCER, compression), 0)
      const decoding = recordSet(packed, { position: 3, codecs }).next()
      expect(decoding, name).toBeInstanceOf(Promise)
      expect(await decoding, name).toMatchObject({ nextOffset: 10, bytes: 5_600_000, records: { length: 7 } })
    }
  })

  test('are refused if they unpack beyond the limit, and records behind them are read', async () => {
    const codecs = await installedCodecs({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} })
    for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const compression = { bits: compressionBits(name), codec: codecs[name] }
      const packed = at(encodeRecordBatch(large(8_000_000), NO_PRODUCER, compression), 0)
      const set = recordSet(Buffer.concat([packed, at(batchOf(1), 10)]), {
        position: 0,
        codecs,
        maxUnpackedBytes: 4_000_000,
      })
      expect(await decodeAll(set), name).toMatchObject([
        { kind: 'unreadable', firstOffset: 0, nextOffset: 10, error: { code: 'BATCH_TOO_LARGE' } },
        { kind: 'records', nextOffset: 11 },
      ])
    }
  })

  test('are delivered one after the other, with little more than one of them in memory', async () => {
    const gzip = { bits: compressionBits('gzip'), codec: gzipCodec }
    const batches = Array.from({ length: 20 }, (_, i) =>
      at(encodeRecordBatch(large(600_000), NO_PRODUCER, gzip), 10 * i),
    )
    const decoded = await decodeAll(recordSet(Buffer.concat(batches), { position: 0 }))
    expect(decoded.length).toBe(10)
    for (const one of decoded) expect(one).toMatchObject({ kind: 'records', bytes: 1_200_000 })
    expect(decoded.flatMap((one) => (one.kind === 'records' ? offsets(one) : []))).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    )
  })
})

describe('read-committed', () => {
  // Two producers, their batches interleaved; 1 commits, 2 aborts, and 2 then writes again and commits.
  const log = Buffer.concat([
    at(batchOf(2, producer(1)), 0),
    at(batchOf(2, producer(2)), 2),
    at(batchOf(2, producer(1)), 4),
    at(marker(2, 'abort'), 6),
    at(batchOf(2, producer(2)), 7),
    at(marker(1, 'commit'), 9),
    at(marker(2, 'commit'), 10),
  ])

  test('leaves out the aborted transaction alone', () => {
    const decoded = decode(log, {
      position: 0,
      isolation: 'read-committed',
      aborted: [{ producerId: 2, firstOffset: 2 }],
    })
    expect(offsets(decoded)).toEqual([0, 1, 4, 5, 7, 8])
    expect(decoded.nextOffset).toBe(11)
  })

  test('accepts the list of aborted transactions in any order', () => {
    const data = Buffer.concat([
      at(batchOf(1, producer(1)), 0),
      at(batchOf(1, producer(2)), 1),
      at(marker(2, 'abort'), 2),
      at(batchOf(1, producer(2)), 3),
      at(marker(1, 'abort'), 4),
      at(marker(2, 'commit'), 5),
      at(batchOf(1, producer(1)), 6),
      at(marker(1, 'commit'), 7),
    ])
    const aborted = [
      { producerId: 1, firstOffset: 0 },
      { producerId: 2, firstOffset: 1 },
    ]
    for (const list of [aborted, [...aborted].reverse()]) {
      expect(offsets(decode(data, { position: 0, isolation: 'read-committed', aborted: list }))).toEqual([3, 6])
    }
  })

  test('knows of a transaction that began before the position', () => {
    const decoded = decode(log.subarray(log.indexOf(at(batchOf(2, producer(1)), 4))), {
      position: 4,
      isolation: 'read-committed',
      aborted: [{ producerId: 2, firstOffset: 2 }],
    })
    expect(offsets(decoded)).toEqual([4, 5, 7, 8])
  })

  test('read-uncommitted hands out everything but the markers', () => {
    expect(offsets(decode(log, { position: 0, aborted: [{ producerId: 2, firstOffset: 2 }] }))).toEqual([
      0, 1, 2, 3, 4, 5, 7, 8,
    ])
  })
})

/** The synchronous result; throws the reason if the first batch is unreadable. */
function decode(data: Buffer, options: Partial<RecordSetOptions> & { readonly position: number }): DecodedRecords {
  const decoded = recordSet(data, options).next()
  if (decoded instanceof Promise) throw new Error('It was too large to be decoded at once.')
  if (decoded.kind === 'unreadable') throw decoded.error
  return decoded
}

async function decodeAll(set: RecordSet): Promise<readonly Decoded[]> {
  const all: Decoded[] = []
  while (!set.exhausted) all.push(await set.next())
  return all
}

function recordSet(data: Buffer, options: Partial<RecordSetOptions> & { readonly position: number }): RecordSet {
  return new RecordSet(data, {
    isolation: 'read-uncommitted',
    aborted: [],
    codecs: CODECS,
    verifyChecksums: true,
    maxUnpackedBytes: 64 << 20,
    ...options,
  })
}

function flipped(batch: Buffer, bit: number): Buffer {
  const bad = Buffer.from(batch)
  bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return bad
}

function offsets(decoded: DecodedRecords): readonly number[] {
  return decoded.records.map(({ offset }) => offset)
}

function records(count: number): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    topic: 't',
    partition: 0,
    key: null,
    value: Buffer.from(String(i)),
    headers: NO_HEADERS,
    timestamp: 1_000,
  }))
}

function producer(id: number): BatchProducer {
  return { id, epoch: 0, firstSequence: 0, transactional: true }
}

function batchOf(count: number, by: BatchProducer = NO_PRODUCER): Buffer {
  return encodeRecordBatch(records(count), by, UNCOMPRESSED)
}

/** A message of format 1, as far as it is read: the bytes in place of the checksum of format 2 do not match. */
function oldMessage(): Buffer {
  const message = batchOf(1)
  message.writeInt8(1, 16)
  message.writeUInt32BE(~message.readUInt32BE(17) >>> 0, 17)
  return message
}

/** A control batch as the broker writes it: the key holds a version and the kind. */
function marker(id: number, kind: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1])
  const batch = encodeRecordBatch(
    [{ topic: 't', partition: 0, key, value: Buffer.alloc(6), headers: NO_HEADERS, timestamp: 1_000 }],
    producer(id),
    UNCOMPRESSED,
  )
  batch.writeInt16BE(batch.readInt16BE(21) | 0x20, 21)
  return sealed(batch)
}

/** With the checksum that fits. */
function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** The batch as it is in the log, where the broker sets the base offset. */
function at(batch: Buffer, offset: number): Buffer {
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

test('known encodings', () => {
  const encoded = (value: number): string => {
    const buffer = Buffer.alloc(10)
    return buffer.subarray(0, writeVarint(buffer, 0, value)).toString('hex')
  }
  expect([0, -1, 1, -2, 63, -64, 64, 300].map(encoded)).toEqual(['00', '01', '02', '03', '7e', '7f', '8001', 'd804'])
})

test('the size counted is the size written', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), (value) => {
      expect(writeVarint(Buffer.alloc(10), 0, value)).toBe(sizeOfVarint(value))
    }),
  )
})
