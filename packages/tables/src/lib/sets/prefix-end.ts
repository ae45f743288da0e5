const HIGHEST = 0xff

/** The first key after all that start with `prefix`; `undefined` when there is none. */
export function prefixEnd(prefix: Buffer): Buffer | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === HIGHEST) length--
  if (length === 0) return undefined
  const end = Buffer.from(prefix.subarray(0, length))
  end.writeUInt8(end.readUInt8(length - 1) + 1, length - 1)
  return end
}
