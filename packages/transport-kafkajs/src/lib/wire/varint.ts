/** Bytes that a number takes as a zig-zag varint (Kafka's `varint` and `varlong`; safe integers). */
export function sizeOfVarint(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  let size = 1
  while (rest > 0x7f) {
    rest = Math.floor(rest / 128)
    size++
  }
  return size
}

/** Writes a zig-zag varint and gives the offset behind it. */
export function writeVarint(buffer: Buffer, offset: number, value: number): number {
  let at = offset
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  while (rest > 0x7fff_ffff) {
    buffer[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}
