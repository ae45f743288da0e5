/** Writes Kafka's primitive types into a buffer that grows. Method names follow the protocol guide. */
export class WireWriter {
  #buffer: Buffer
  #offset = 0

  /** The initial size; exact sizes save copying. */
  constructor(size = 256) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  /** What was written; shares memory with the writer. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#offset)
  }

  int8(value: number): this {
    this.#room(1)
    this.#offset = this.#buffer.writeInt8(value, this.#offset)
    return this
  }

  int16(value: number): this {
    this.#room(2)
    this.#offset = this.#buffer.writeInt16BE(value, this.#offset)
    return this
  }

  int32(value: number): this {
    this.#room(4)
    this.#offset = this.#buffer.writeInt32BE(value, this.#offset)
    return this
  }

  /** A safe integer, or -1. */
  int64(value: number): this {
    this.#room(8)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#offset = this.#buffer.writeInt32BE(high, this.#offset)
    this.#offset = this.#buffer.writeUInt32BE(value - high * 0x1_0000_0000, this.#offset)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const length = Buffer.byteLength(value)
    this.int16(length).#room(length)
    this.#offset += this.#buffer.write(value, this.#offset)
    return this
  }

  data(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }

  raw(value: Uint8Array): this {
    this.#room(value.length)
    this.#buffer.set(value, this.#offset)
    this.#offset += value.length
    return this
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length)
    for (const item of items) write(item)
    return this
  }

  unsignedVarint(value: number): this {
    let rest = value
    while (rest > 0x7f) {
      this.#room(1)
      this.#buffer[this.#offset++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#room(1)
    this.#buffer[this.#offset++] = rest
    return this
  }

  compactString(value: string | null): this {
    if (value === null) return this.unsignedVarint(0)
    const length = Buffer.byteLength(value)
    this.unsignedVarint(length + 1).#room(length)
    this.#offset += this.#buffer.write(value, this.#offset)
    return this
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsignedVarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }

  /** Flexible versions end each structure with a list of tagged fields; we have none to send. */
  noTags(): this {
    return this.unsignedVarint(0)
  }

  #room(bytes: number): void {
    const needed = this.#offset + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#offset)
    this.#buffer = larger
  }
}
