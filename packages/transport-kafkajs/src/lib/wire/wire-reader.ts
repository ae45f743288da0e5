import { MillraceError } from '@millrace/core'

const HIGHEST_SAFE_HALF = 0x1f_ffff

/** Reads Kafka's primitive types from a response. Returned buffers share memory with the response. */
export class WireReader {
  readonly buffer: Buffer
  offset: number

  constructor(buffer: Buffer, offset = 0) {
    this.buffer = buffer
    this.offset = offset
  }

  get remaining(): number {
    return this.buffer.length - this.offset
  }

  int8(): number {
    const value = this.buffer.readInt8(this.offset)
    this.offset += 1
    return value
  }

  int16(): number {
    const value = this.buffer.readInt16BE(this.offset)
    this.offset += 2
    return value
  }

  int32(): number {
    const value = this.buffer.readInt32BE(this.offset)
    this.offset += 4
    return value
  }

  /** Rejects a number that JavaScript cannot hold exactly with `OFFSET_UNSAFE`. */
  int64(): number {
    const { buffer, offset } = this
    this.offset += 8
    const high = buffer.readInt32BE(offset)
    if (high <= HIGHEST_SAFE_HALF && high >= -HIGHEST_SAFE_HALF)
      return high * 0x1_0000_0000 + buffer.readUInt32BE(offset + 4)
    const sent = buffer.readBigInt64BE(offset)
    throw new MillraceError('OFFSET_UNSAFE', `Kafka sent ${sent}, which is not a safe integer.`)
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  string(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#text(length)
  }

  text(): string {
    return this.string() ?? ''
  }

  data(): Buffer {
    const length = this.int32()
    return length < 0 ? EMPTY : this.raw(length)
  }

  raw(length: number): Buffer {
    const end = this.offset + length
    if (end > this.buffer.length)
      throw new RangeError(`A response of Kafka ends ${end - this.buffer.length} bytes early.`)
    const bytes = this.buffer.subarray(this.offset, end)
    this.offset = end
    return bytes
  }

  array<T>(read: () => T): T[] {
    return this.#items(this.int32(), read)
  }

  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.buffer.readUInt8(this.offset++)
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
      if (shift > 28) throw new RangeError('A response of Kafka has a number that is too long.')
    }
  }

  compactString(): string | null {
    const length = this.unsignedVarint() - 1
    return length < 0 ? null : this.#text(length)
  }

  compactArray<T>(read: () => T): T[] {
    return this.#items(this.unsignedVarint() - 1, read)
  }

  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left--) {
      this.unsignedVarint()
      this.offset += this.unsignedVarint()
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(read())
    return items
  }

  #text(length: number): string {
    return this.raw(length).toString('utf8')
  }
}

const EMPTY = Buffer.alloc(0)
