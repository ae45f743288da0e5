import { MillraceError, NO_HEADERS, resolveCodec } from '@millrace/core'
import {
  changelogOf,
  CodecKeys,
  DuePartition,
  type DueRules,
  type RowShape,
  type StateContext,
  TaskLocator,
  writingEvent,
} from '@millrace/state'
import type { OpenState, OpenStateOptions, StateDefinition } from '@millrace/worker'
import { placeOf } from '../retries/returned-event.ts'
import { TopicDigests } from './topic-digests.ts'

/** How duplicates are recognized. */
export interface DedupeSpec {
  readonly agent: string
  readonly name: string
  readonly withinMs: number
  /** The topics that the events come from: the state has as many partitions as they have. */
  readonly topics: readonly string[]
}

/** The first event with an id. */
interface FirstEvent {
  readonly time: number
  /** A digest of its topic's name: with the offset, it tells a replayed event from another one. */
  readonly source: number
  readonly offset: number
}

/** The ids that a stream has seen, each kept for `within` after its first event, by event time. A descriptor, as tables are. */
export class DedupeState implements StateDefinition {
  readonly name: string
  readonly changelog: StateDefinition['changelog']
  readonly partitions: undefined
  readonly sizedAs: readonly string[]
  readonly eventTime = true
  readonly #context: StateContext
  readonly #where: string
  readonly #withinMs: number
  readonly #rows: TaskLocator<string, FirstEvent>
  readonly #sources = new TopicDigests()

  constructor(context: StateContext, { name, withinMs, topics }: DedupeSpec) {
    const where = `dedupe "${name}"`
    const keyCodec = resolveCodec('string', 'key', where)
    const keys = new CodecKeys<string>({ where, keySpec: 'string', keyCodec, partitionBy: undefined })
    this.name = name
    this.changelog = changelogOf(context.appId, name)
    this.sizedAs = topics
    this.#context = context
    this.#where = where
    this.#withinMs = withinMs
    const rules: DueRules<FirstEvent> = {
      keyCodec: keyCodec.name,
      clock: 'event',
      dueOf: ({ time }) => time + withinMs + 1,
      isExpiry: () => true,
      record: (key) => ({ key, value: null, headers: NO_HEADERS }),
    }
    this.#rows = new TaskLocator({
      definition: this,
      shape: { keys, rows: firstEvents(keys) },
      context,
      // The row of an id is in the task of its events.
      anywhere: true,
      make: (shape, options) => new DuePartition(shape, options, rules),
    })
  }

  openState(context: OpenStateOptions): OpenState {
    return this.#rows.open(context)
  }

  /**
   * Whether the current event is the first with this id, which is noted as an effect of the event. The same event passes again
   * if it is redelivered after a failure, or after a crash that left its row.
   */
  isFirst(id: string): boolean {
    const event = writingEvent(this.#context.contexts, this.#where)
    const { topic, offset } = placeOf(event)
    const { timestamp: time } = event
    const entry = this.#rows.writing(id, event)
    if (entry.rows instanceof DuePartition) entry.rows.writtenBy(event)
    const first = entry.view(event)
    const source = this.#sources.of(topic)
    if (first !== undefined && time <= first.time + this.#withinMs)
      return first.source === source && first.offset === offset
    this.#rows.write(entry, event, { time, source, offset })
    return true
  }
}

const ROW_BYTES = 20

function firstEvents(keys: CodecKeys<string>): RowShape<FirstEvent> {
  const encode = ({ time, source, offset }: FirstEvent): Buffer => {
    const bytes = Buffer.allocUnsafe(ROW_BYTES)
    bytes.writeDoubleBE(time, bytes.writeDoubleBE(offset, bytes.writeUInt32BE(source, 0)))
    return bytes
  }
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: undefined,
    admit: () => undefined,
    encode,
    decode(bytes, key) {
      if (bytes.length !== ROW_BYTES)
        throw new MillraceError('ROW_UNDECODABLE', `Id ${keys.show(key)} of ${keys.where} has ${bytes.length} bytes.`)
      return { source: bytes.readUInt32BE(0), offset: bytes.readDoubleBE(4), time: bytes.readDoubleBE(12) }
    },
  }
}
