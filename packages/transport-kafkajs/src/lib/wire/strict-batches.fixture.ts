import { codecOfBatch, type CompressionCodecs } from '../compression/compression.ts'
import { crc32c } from './crc32c.ts'

/**
 * A record according to the protocol's specification, independent of the driver, with which the driver's result is
 * compared.
 */
export interface StrictRecord {
  readonly offset: bigint
  /** `undefined` if it is a sum of numbers that JavaScript cannot hold exactly. */
  readonly timestamp: number | undefined
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export interface StrictReading {
  /** Records from the position on, up to the first invalid batch. */
  readonly records: readonly StrictRecord[]
  /** What is wrong with that batch; `undefined` if all are valid. */
  readonly wrong: string | undefined
}

export interface StrictOptions {
  readonly position: number
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[]
  readonly codecs: CompressionCodecs
  readonly maxUnpackedBytes: number
}

class Wrong extends Error {}

const LATEST = 8_640_000_000_000_000n

/** Reads batches in the slowest and strictest way: field by field, with integers of any size. */
export function readStrictly(data: Buffer, options: StrictOptions): StrictReading {
  const position = BigInt(options.position)
  const records: StrictRecord[] = []
  const aborting = new Set<bigint>()
  const aborted = options.aborted.map((one) => ({ id: BigInt(one.producerId), from: BigInt(one.firstOffset) }))
  let [at, reached, isStale] = [0, position, false]
  try {
    while (at < data.length) {
      const end = data.length - at < 61 ? Infinity : at + 12 + data.readInt32BE(at + 8)
      // The limit of the answer may truncate the last batch, but never the first.
      if (end > data.length && at > 0) break
      require(end <= data.length && end >= at + 61, 'a length that cannot be')
      if (isBehind(data, at, { end, position })) {
        ;[at, isStale] = [end, true]
        continue
      }
      const batch = batchAt(data.subarray(at, end), options)
      require(end + 12 > data.length || data.readBigInt64BE(end) > batch.last, 'batches out of order')
      require(!isStale ||
        reached > position ||
        batch.last < position ||
        batch.base <= position, 'a gap behind what is read already')
      isStale ||= batch.last < position
      for (const { id, from } of aborted) if (from <= batch.last) aborting.add(id)
      if (batch.control !== undefined) {
        if (batch.control === 0) {
          aborting.delete(batch.producer)
          aborted.splice(
            0,
            aborted.length,
            ...aborted.filter(({ from, id }) => from > batch.last || id !== batch.producer),
          )
        }
      } else if (batch.last >= position && !(batch.transactional && aborting.has(batch.producer)))
        records.push(...batch.records().filter(({ offset }) => offset >= position))
      if (batch.last >= reached) reached = batch.last + 1n
      at = end
    }
    require(data.length === 0 || reached > position, 'nothing from the position on')
    return { records, wrong: undefined }
  } catch (thrown) {
    if (thrown instanceof Wrong || thrown instanceof RangeError) return { records, wrong: thrown.message }
    throw thrown
  }
}

function require(holds: boolean, wrong: string): void {
  if (!holds) throw new Wrong(wrong)
}

/**
 * Whether an unreadable batch may be skipped: its end is known, something agrees with it, and it is before the
 * position.
 */
function isBehind(
  data: Buffer,
  at: number,
  { end, position }: { readonly end: number; readonly position: bigint },
): boolean {
  if (data.readUInt32BE(at + 17) === crc32c(data.subarray(at + 21, end))) return false
  const [base, format] = [data.readBigInt64BE(at), data.readInt8(at + 16)]
  if (base < BigInt(Number.MIN_SAFE_INTEGER)) return false
  if (format === 0 || format === 1) return base < position
  const [delta, count] = [data.readInt32BE(at + 23), data.readInt32BE(at + 57)]
  const last = base + BigInt(delta)
  const isSure = count === delta + 1 || (end + 12 <= data.length && data.readBigInt64BE(end) === last + 1n)
  return format === 2 && delta >= 0 && isSure && last < position
}

interface StrictBatch {
  readonly base: bigint
  readonly last: bigint
  readonly producer: bigint
  readonly transactional: boolean
  /** The kind of the marker. */
  readonly control: number | undefined
  /** Read only on demand. */
  readonly records: () => readonly StrictRecord[]
}

function batchAt(batch: Buffer, options: StrictOptions): StrictBatch {
  require(batch.readInt8(16) === 2, 'a format other than 2')
  require(batch.readUInt32BE(17) === crc32c(batch.subarray(21)), 'another checksum')
  const base = batch.readBigInt64BE(0)
  const last = base + BigInt(batch.readInt32BE(23))
  const count = batch.readInt32BE(57)
  require(last >= base && count >= 0, 'less than no records')
  require(last < BigInt(Number.MAX_SAFE_INTEGER) && base >= BigInt(Number.MIN_SAFE_INTEGER), 'no safe integer')
  const attributes = batch.readInt16BE(21)
  const records = (): readonly StrictRecord[] => recordsOf(batch, { base, last, count, attributes }, options)
  const isControl = (attributes & 0x20) !== 0
  const [mark] = isControl ? markersOf(records, count, attributes) : []
  return {
    base,
    last,
    producer: batch.readBigInt64BE(43),
    transactional: (attributes & 0x10) !== 0,
    control: isControl ? (mark ?? -1) : undefined,
    records,
  }
}

/** The content of a control batch: one marker, or none if compaction has removed it. */
function markersOf(records: () => readonly StrictRecord[], count: number, attributes: number): readonly number[] {
  require(count <= 1 && (attributes & 0x07) === 0, 'a control batch with more than its marker')
  return records().map(({ key }) => {
    const bytes = Buffer.from(key ?? '', 'hex')
    require(bytes.length >= 4, 'a marker without a kind')
    return bytes.readInt16BE(2)
  })
}

interface StrictHeader {
  readonly base: bigint
  readonly last: bigint
  readonly count: number
  readonly attributes: number
}

function recordsOf(
  batch: Buffer,
  { base, last, count, attributes }: StrictHeader,
  { codecs, maxUnpackedBytes }: StrictOptions,
): readonly StrictRecord[] {
  const bytes = new Bytes(unpackedOf(batch.subarray(61), attributes, { codecs, maxUnpackedBytes, count }))
  const isAppended = (attributes & 0x08) !== 0
  const records: StrictRecord[] = []
  let least = base
  for (let i = 0; i < count; i++) {
    const record = new Bytes(bytes.take(bytes.varint()))
    record.take(1n)
    const first = batch.readBigInt64BE(27)
    const later = record.varint()
    const offset = base + record.varint()
    require(offset >= least && offset <= last, 'an offset out of order')
    least = offset + 1n
    const key = record.bytes()
    const value = record.bytes()
    const length = record.varint()
    require(length >= 0n, 'less than no headers')
    const headers: [string, string | null][] = []
    for (let left = length; left > 0n; left--) {
      const name = record.take(record.varint()).toString('utf8')
      headers.push([name, record.bytes()])
    }
    require(record.left === 0, 'bytes behind a record')
    const timestamp = isAppended
      ? dateOf(batch.readBigInt64BE(35))
      : isExact(first) && isExact(later)
        ? dateOf(first + later)
        : undefined
    records.push({ offset, timestamp, key, value, headers })
  }
  require(bytes.left === 0, 'bytes behind the records')
  return records
}

function isExact(value: bigint): boolean {
  return Number.isSafeInteger(Number(value))
}

/** The nearest that a date can be. */
function dateOf(timestamp: bigint): number {
  return Number(timestamp > LATEST ? LATEST : timestamp < -LATEST ? -LATEST : timestamp)
}

function unpackedOf(
  packed: Buffer,
  attributes: number,
  { codecs, maxUnpackedBytes, count }: Pick<StrictOptions, 'codecs' | 'maxUnpackedBytes'> & { readonly count: number },
): Buffer {
  try {
    const codec = codecOfBatch(attributes, codecs)
    if (codec === undefined || count === 0) return packed
    const unpacked = codec.decompress(packed, maxUnpackedBytes)
    if (unpacked !== undefined) return unpacked
  } catch {
    // Not compressed as it claims, or in an unknown way.
  }
  throw new Wrong('bytes that cannot be unpacked')
}

class Bytes {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get left(): number {
    return this.#buffer.length - this.#at
  }

  take(length: bigint): Buffer {
    require(length >= 0n && length <= BigInt(this.left), 'a length that cannot be')
    this.#at += Number(length)
    return this.#buffer.subarray(this.#at - Number(length), this.#at)
  }

  /** As hexadecimal digits. */
  bytes(): string | null {
    const length = this.varint()
    require(length >= -(2n ** 31n), 'a length that cannot be')
    return length < 0n ? null : this.take(length).toString('hex')
  }

  /** Zig-zag, of ten bytes at most. */
  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(1n).readUInt8()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new Wrong('a number without an end')
  }
}
