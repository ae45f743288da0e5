import type { RawHeaders } from '@millrace/core'

interface Sized {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RawHeaders
}

/** Bytes of key, value and headers. */
export function recordSize(record: Sized): number {
  let bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const [name, value] of record.headers) bytes += name.length + (value?.length ?? 0)
  return bytes
}
