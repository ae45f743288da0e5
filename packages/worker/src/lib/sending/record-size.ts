import type { RawHeaders } from '@millrace/core'

/** What a record costs beside its own bytes, on the wire and in memory, roughly. */
const RECORD_OVERHEAD_BYTES = 64

interface Sized {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
}

/** Bytes that a record takes, roughly. */
export function recordSize({ key, value, headers }: Sized): number {
  let bytes = RECORD_OVERHEAD_BYTES
  if (key !== null) bytes += key.length
  if (value !== null) bytes += value.length
  if (headers.length > 0)
    for (const [name, content] of headers) bytes += name.length + (content === null ? 0 : content.length)
  return bytes
}
