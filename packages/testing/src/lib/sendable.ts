/** A record to send, or only its value. */
export type Sendable<K, V> = V | RecordOf<K, V>

export interface RecordOf<K, V> {
  readonly key?: K | null | undefined
  readonly value: V | null
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined
  readonly timestamp?: number | undefined
  readonly partition?: number | undefined
}

/** A topic or agent. */
export interface SendableTopic<K, V> {
  send(record: RecordOf<K, V>): Promise<unknown>
}

const RECORD_FIELDS = new Set(['key', 'value', 'headers', 'timestamp', 'partition'])

/** An object with a `value` and only fields of records is a record; anything else is a value. */
export function asRecord<K, V>(what: Sendable<K, V>): RecordOf<K, V> {
  return isRecord(what) ? what : { value: what }
}

function isRecord<K, V>(what: Sendable<K, V>): what is RecordOf<K, V> {
  return (
    typeof what === 'object' &&
    what !== null &&
    'value' in what &&
    Object.keys(what).every((field) => RECORD_FIELDS.has(field))
  )
}
