import { type Codec, type CodecSpec, MillraceError, NO_HEADERS, resolveCodec } from '@millrace/core'
import {
  changelogOf,
  CodecKeys,
  DuePartition,
  type RowShape,
  type StateContext,
  TaskLocator,
  writingEvent,
} from '@millrace/state'
import type { DueSource, OpenState, OpenStateOptions, StateDefinition } from '@millrace/worker'

/** How values are held back. */
export interface SuppressSpec {
  readonly agent: string
  readonly name: string
  readonly everyMs: number
  readonly key: CodecSpec
  readonly value: CodecSpec
  /** The topics that the events come from: the state has as many partitions as they have. */
  readonly topics: readonly string[]
}

/** The last value of a key, and the time when it is released, in milliseconds of the clock. */
interface KeptValue {
  readonly at: number
  /** Encoded. */
  readonly value: Buffer
}

/** The last value of each key, until it is released. A descriptor, as tables are. */
export class SuppressState implements StateDefinition {
  readonly name: string
  readonly changelog: StateDefinition['changelog']
  readonly partitions: undefined
  readonly sizedAs: readonly string[]
  /** Releases are committed with the offsets. */
  readonly eventTime = true
  /** The source of released values. */
  readonly released: DueSource<unknown, unknown>
  readonly #context: StateContext
  readonly #where: string
  readonly #everyMs: number
  readonly #values: Codec<unknown>
  readonly #rows: TaskLocator<unknown, KeptValue>

  constructor(context: StateContext, { name, everyMs, key, value, topics }: SuppressSpec) {
    const where = `suppress "${name}"`
    const keyCodec = resolveCodec(key, 'key', where)
    const keys = new CodecKeys<unknown>({ where, keySpec: key, keyCodec, partitionBy: undefined })
    const values = resolveCodec(value, 'value', where)
    this.name = name
    this.changelog = changelogOf(context.appId, name)
    this.sizedAs = topics
    this.#context = context
    this.#where = where
    this.#everyMs = everyMs
    this.#values = values
    this.#rows = new TaskLocator({
      definition: this,
      shape: { keys, rows: keptValues(keys) },
      context,
      // The row of a key is in the task of its events.
      anywhere: true,
      make: (shape, options) =>
        new DuePartition(shape, options, {
          keyCodec: keyCodec.name,
          clock: 'wall',
          dueOf: ({ at }) => at,
          record: (row, kept) => ({ key: row, value: kept.value, headers: NO_HEADERS }),
        }),
    })
    this.released = {
      name,
      kind: 'suppressed',
      due: this,
      readBy: () => {},
      keyOf: ({ key: bytes }) => (bytes === null ? undefined : keyCodec.decode(bytes)),
      valueOf: ({ value: bytes }) => (bytes === null ? null : values.decode(bytes)),
    }
  }

  openState(context: OpenStateOptions): OpenState {
    return this.#rows.open(context)
  }

  encode(value: unknown): Buffer {
    return this.#values.encode(value)
  }

  /** The held value of a key, decoded, as the current event sees it; `undefined` if none is held. */
  held(key: unknown): unknown {
    const event = writingEvent(this.#context.contexts, this.#where)
    const kept = this.#rows.writing(key, event).view(event)
    return kept === undefined ? undefined : this.#values.decode(kept.value)
  }

  /** Replaces the held value, as an effect of the current event. `nowMs`: the clock's time. */
  keep(key: unknown, value: Buffer, nowMs: number): void {
    const event = writingEvent(this.#context.contexts, this.#where)
    const entry = this.#rows.writing(key, event)
    // What was released is committed with the partition of the writer.
    if (entry.rows instanceof DuePartition) entry.rows.writtenBy(event)
    const at = entry.view(event)?.at ?? nowMs + this.#everyMs
    this.#rows.write(entry, event, { at, value })
  }
}

const TIME_BYTES = 8

function keptValues(keys: CodecKeys<unknown>): RowShape<KeptValue> {
  const encode = ({ at, value }: KeptValue): Buffer => {
    const time = Buffer.allocUnsafe(TIME_BYTES)
    time.writeDoubleBE(at)
    return Buffer.concat([time, value])
  }
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: undefined,
    admit: encode,
    encode,
    decode(bytes, key) {
      if (bytes.length < TIME_BYTES)
        throw new MillraceError('ROW_UNDECODABLE', `Key ${keys.show(key)} of ${keys.where} has ${bytes.length} bytes.`)
      return { at: bytes.readDoubleBE(0), value: bytes.subarray(TIME_BYTES) }
    },
  }
}
