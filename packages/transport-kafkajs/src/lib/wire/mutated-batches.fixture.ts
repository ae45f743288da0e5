import { type CompressionCodecs, compressionBits, type CompressionName } from '../compression/compression.ts'
import { crc32c } from './crc32c.ts'
import { writeVarint } from './encode-record-batch.ts'

/** A broker's answer for a partition, changed by an attacker who knows the format, and the original. */
export interface HostileFetch {
  readonly data: Buffer
  readonly position: number
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[]
  /** The changes in order, for the report of a failure. */
  readonly changes: readonly string[]
}

/** The unpacking limit of the readers in these tests; the bombs unpack to more. */
export const MOST_UNPACKED: number = 1 << 16
const BOMB_BYTES = 1 << 18

const ABORTED = [{ producerId: 7, firstOffset: 6 }]
const NUMBERS = [
  -(2 ** 31),
  -65_536,
  -62,
  -61,
  -50,
  -49,
  -12,
  -2,
  -1,
  0,
  1,
  2,
  3,
  48,
  49,
  50,
  127,
  128,
  65_535,
  2 ** 20,
  2 ** 31 - 1,
]
const LONGS = [
  -(2n ** 63n),
  -(2n ** 53n),
  -1n,
  0n,
  1n,
  2n,
  3n,
  5n,
  8n,
  9n,
  100n,
  2n ** 31n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
]
/** Varints that end late, or never. */
const ENDLESS = [
  'ffffffffffffffffffff',
  'ffffffffffffffffff01',
  '8080808080808080808001',
  'ffffffff0f',
  '8000',
  '80',
].map((hex) => Buffer.from(hex, 'hex'))
/** The position of each number in a batch's header, with its size. */
const FIELDS = [
  ['base offset', 0, 8],
  ['length', 8, 4],
  ['epoch', 12, 4],
  ['format', 16, 1],
  ['checksum', 17, 4],
  ['attributes', 21, 2],
  ['last offset', 23, 4],
  ['first timestamp', 27, 8],
  ['max timestamp', 35, 8],
  ['producer', 43, 8],
  ['producer epoch', 51, 2],
  ['sequence', 53, 4],
  ['count', 57, 4],
] as const

/** Numbers from 0 to 1, the same for a seed (mulberry32). */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  of<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)]
    if (one === undefined) throw new Error('There is nothing to choose from.')
    return one
  }
}

/** A number of a record, whose written bytes may differ from its value. */
interface Draft {
  /** Replaces the bytes of one number of a record, counted through the batch. */
  readonly number: number
  readonly by: Buffer
}

interface BatchDraft {
  readonly base: number
  readonly values: number
  readonly compression: CompressionName
  readonly producer?: { readonly id: number; readonly transactional: boolean }
  readonly marker?: 0 | 1
  readonly changed?: Draft
  /** Bytes behind the records, under their checksum. */
  readonly behind?: Buffer
  readonly bomb?: boolean
}

/** Batches of several producers: plain, compressed, and in transactions, one of which is aborted. */
function drafts(compression: CompressionName): readonly BatchDraft[] {
  return [
    { base: 0, values: 3, compression },
    { base: 3, values: 3, compression: 'none' },
    { base: 6, values: 2, compression, producer: { id: 7, transactional: true } },
    { base: 8, values: 2, compression, producer: { id: 8, transactional: true } },
    { base: 10, values: 1, compression: 'none', producer: { id: 7, transactional: true }, marker: 0 },
    { base: 11, values: 1, compression: 'none', producer: { id: 8, transactional: true }, marker: 1 },
    { base: 12, values: 4, compression },
  ]
}

/** A fetch with one to three changes, which depend on the dice only. */
export function hostileFetch(dice: Dice, codecs: CompressionCodecs): HostileFetch {
  const changes: string[] = []
  const compression = dice.of(['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
  const position = dice.of([0, 0, 0, 1, 3, 7, 12, 13])
  const whole = drafts(compression)
  // A broker answers from the batch that has the position.
  const first = whole.findLastIndex(({ base }) => base <= position)
  const list = whole.slice(first, dice.of([first + 1, first + 2, whole.length]))
  const altered = dice.below(3) === 0 ? list : alteredDrafts(list, dice, changes)
  let batches = altered.map((draft) => encode(draft, codecs))
  for (let left = changes.length === 0 ? 1 + dice.below(3) : dice.below(2); left > 0; left--)
    batches = changedBatches(batches, dice, changes)
  return { data: Buffer.concat(batches), position, aborted: ABORTED, changes }
}

/** The same without a change. */
export function peacefulFetch(position: number, codecs: CompressionCodecs): HostileFetch {
  const whole = drafts('gzip')
  const first = whole.findLastIndex(({ base }) => base <= position)
  const batches = whole.slice(first).map((draft) => encode(draft, codecs))
  return { data: Buffer.concat(batches), position, aborted: ABORTED, changes: [] }
}

/** Changes that only the creator of the records can make. */
function alteredDrafts(list: readonly BatchDraft[], dice: Dice, changes: string[]): readonly BatchDraft[] {
  const at = dice.below(list.length)
  const draft = list[at]
  if (draft === undefined) return list
  const kind = dice.below(10)
  if (kind === 0) {
    changes.push(`batch ${at}: unpacks to ${BOMB_BYTES} bytes`)
    return list.with(at, { ...draft, bomb: true })
  }
  if (kind === 1) {
    changes.push(`batch ${at}: bytes behind its records`)
    return list.with(at, { ...draft, behind: Buffer.alloc(1 + dice.below(40), dice.below(256)) })
  }
  const number = dice.below(draft.values * NUMBERS_OF_RECORD)
  const by =
    dice.below(3) === 0 ? dice.of(ENDLESS) : varint(dice.of([...NUMBERS, -3, 4, 5, 6, 7, 8, 9, 2 ** 40, 2 ** 52]))
  changes.push(`batch ${at}: number ${number} of its records is ${by.toString('hex')}`)
  return list.with(at, { ...draft, changed: { number, by } })
}

const NUMBERS_OF_RECORD = 11

function encode(draft: BatchDraft, codecs: CompressionCodecs): Buffer {
  const { base, values, compression, producer, marker, behind, bomb } = draft
  const parts: Buffer[] = []
  for (let i = 0; i < values; i++) parts.push(recordOf(draft, i))
  if (behind !== undefined) parts.push(behind)
  if (bomb === true) parts.push(Buffer.alloc(BOMB_BYTES))
  const plain = Buffer.concat(parts)
  const packed = codecs[compression]?.compress(plain) ?? plain
  const batch = Buffer.concat([Buffer.alloc(61), packed])
  batch.writeBigInt64BE(BigInt(base))
  batch[16] = 2
  batch.writeInt16BE(
    compressionBits(compression) | (producer?.transactional === true ? 0x10 : 0) | (marker === undefined ? 0 : 0x20),
    21,
  )
  batch.writeInt32BE(values - 1, 23)
  batch.writeBigInt64BE(1_000n, 27)
  batch.writeBigInt64BE(2_000n, 35)
  batch.writeBigInt64BE(BigInt(producer?.id ?? -1), 43)
  batch.writeInt16BE(producer === undefined ? -1 : 0, 51)
  batch.writeInt32BE(producer === undefined ? -1 : 0, 53)
  batch.writeInt32BE(values, 57)
  return sealed(lengthened(batch))
}

function recordOf({ base, marker, changed }: BatchDraft, index: number): Buffer {
  const offset = base + index
  let number = index * NUMBERS_OF_RECORD + 1
  const count = (value: number): Buffer => (changed?.number === number++ ? changed.by : varint(value))
  const key = marker === undefined ? Buffer.from(`k${offset}`) : Buffer.from([0, 0, 0, marker])
  const parts = [Buffer.alloc(1), count(offset), count(index), count(key.length), key]
  if (offset % 4 === 3) parts.push(count(-1))
  else parts.push(count(10), Buffer.from(`value-${offset}`.padEnd(10)))
  const headers = marker === undefined ? index % 3 : 0
  parts.push(count(headers))
  for (let i = 0; i < headers; i++)
    parts.push(count(1), Buffer.from('h'), i === 0 ? count(-1) : count(2), Buffer.alloc(i === 0 ? 0 : 2, 'x'))
  const body = Buffer.concat(parts)
  return Buffer.concat([changed?.number === index * NUMBERS_OF_RECORD ? changed.by : varint(body.length), body])
}

/** Changes that are possible in transit, or in the file; half of the time the checksum is corrected. */
function changedBatches(batches: readonly Buffer[], dice: Dice, changes: string[]): Buffer[] {
  const at = dice.below(batches.length)
  const batch = batches[at] ?? Buffer.alloc(0)
  const told = (what: string, by: readonly Buffer[]): Buffer[] => {
    changes.push(`batch ${at}: ${what}`)
    return batches.toSpliced(at, 1, ...by)
  }
  const copy = Buffer.from(batch)
  const place = dice.below(Math.max(batch.length, 1))
  const seal = dice.below(3) === 0 ? (bytes: Buffer) => bytes : sealed
  const kind = dice.below(12)
  if (kind < 3 && batch.length > 0) {
    copy.writeUInt8(copy.readUInt8(place) ^ (1 << dice.below(8)), place)
    return told(`a bit of byte ${place}`, [seal(copy)])
  }
  if (kind < 5 && batch.length >= 61) {
    const [name, from, bytes] = dice.of(FIELDS)
    if (bytes === 8) copy.writeBigInt64BE(dice.of(LONGS), from)
    else copy.writeIntBE((dice.of(NUMBERS) << (32 - 8 * bytes)) >> (32 - 8 * bytes), from, bytes)
    return told(`its ${name}`, [seal(copy)])
  }
  switch (kind) {
    case 5:
      return told(`cut off at ${place}`, [batch.subarray(0, place)])
    case 6:
      return told('cut off, with the length of what is left', [seal(lengthened(copy.subarray(0, place)))])
    case 7:
      return told('bytes put in', [
        seal(
          lengthened(
            Buffer.concat([batch.subarray(0, place), Buffer.alloc(1 + dice.below(30)), batch.subarray(place)]),
          ),
        ),
      ])
    case 8:
      return told('twice', [batch, batch])
    case 9:
      return told('left out', [])
    case 10:
      return told('behind the next', []).toSpliced(at + 1, 0, batch)
    default:
      return told('bytes behind it', [batch, Buffer.alloc(dice.below(100), dice.below(256))])
  }
}

/** With the length that it has. */
function lengthened(batch: Buffer): Buffer {
  if (batch.length >= 12) batch.writeInt32BE(batch.length - 12, 8)
  return batch
}

/** With the checksum that fits its bytes. */
export function sealed(batch: Buffer): Buffer {
  if (batch.length >= 61) batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

function varint(value: number): Buffer {
  const buffer = Buffer.alloc(10)
  return buffer.subarray(0, writeVarint(buffer, 0, value))
}
