import { NO_HEADERS, type RawHeaders } from '@millrace/core'

/** Headers as users write them. */
export type HeaderValues = Readonly<Record<string, string | Uint8Array>>

/** Raw headers as text: the last one of a name counts, `null` reads as empty. */
export function headerText(headers: RawHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(headers.map(([name, value]) => [name, value === null ? '' : value.toString('utf8')]))
}

export function encodeHeaders(headers: HeaderValues | undefined): RawHeaders {
  if (headers === undefined) return NO_HEADERS
  return Object.entries(headers).map(([name, value]) => [name, toBuffer(value)])
}

function toBuffer(value: string | Uint8Array): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'utf8')
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
