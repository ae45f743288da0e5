import { type Codec, type CodecSpec, type Logger, MillraceError, resolveCodec } from '@millrace/core'
import {
  changelogOf,
  CodecKeys,
  DuePartition,
  type KeyEntry,
  type RowShape,
  type StateContext,
  TaskLocator,
  type WindowKey,
  WindowKeys,
  writingEvent,
} from '@millrace/state'
import type { CurrentEvent, DueSource, OpenState, OpenStateOptions, StateDefinition } from '@millrace/worker'
import { TopicDigests } from '../states/topic-digests.ts'
import { decodeKept, encodeKept, type KeptEvent, sizeOf, type Side } from './join-entries.ts'
import { dueRules, type JoinRules } from './join-rules.ts'
import { type LateCounts, LateRecords } from './late-records.ts'

/** A join of two streams. */
export interface JoinSpec {
  readonly agent: string
  /** The name of the state and its changelog. */
  readonly name: string
  readonly rules: JoinRules
  readonly key: CodecSpec
  /** How the values of each side are encoded. */
  readonly values: Readonly<Record<Side, CodecSpec>>
  /** The topics of both sides: the state has as many partitions as they have. */
  readonly topics: readonly string[]
  /** The subscriptions of both sides, whose partitions determine event time. */
  readonly subscriptions: readonly string[]
  readonly late: { readonly name: string } | undefined
}

/** An unmatched event that can no longer be matched. */
export interface AloneEvent {
  readonly side: Side
  readonly value: unknown
}

/**
 * The events of two streams that wait for a match, by key and time. A descriptor, as tables are. A row holds the events of one
 * key in a stretch of time as long as the span, so an event reads three rows at most.
 */
export class JoinState implements StateDefinition {
  readonly name: string
  readonly changelog: StateDefinition['changelog']
  readonly partitions: undefined
  readonly sizedAs: readonly string[]
  readonly eventTime = true
  readonly timedBy: readonly string[]
  /** The source of unmatched events. */
  readonly alone: DueSource<unknown, readonly AloneEvent[]>
  readonly #rules: JoinRules
  readonly #context: StateContext
  readonly #where: string
  readonly #rows: TaskLocator<WindowKey<unknown>, readonly KeptEvent[]>
  readonly #codecs: Readonly<Record<Side, Codec<unknown>>>
  readonly #late: LateRecords
  readonly #sources = new TopicDigests()

  constructor(context: StateContext, { agent, name, rules, key, values, topics, subscriptions, late }: JoinSpec) {
    const where = `join "${name}"`
    const keyCodec = resolveCodec(key, 'key', where)
    const keys = new CodecKeys<unknown>({ where, keySpec: key, keyCodec, partitionBy: undefined })
    const rowKeys = new WindowKeys(keys)
    this.name = name
    this.changelog = changelogOf(context.appId, name)
    this.sizedAs = topics
    this.timedBy = subscriptions
    this.#rules = rules
    this.#context = context
    this.#where = where
    this.#late = new LateRecords({ where: `join() of agent "${agent}" (${rules.toString()})`, sink: late })
    this.#codecs = {
      left: resolveCodec(values.left, 'value', where),
      right: resolveCodec(values.right, 'value', where),
    }
    const due = dueRules(rules, keyCodec.name)
    this.#rows = new TaskLocator({
      definition: this,
      shape: { keys: rowKeys, rows: keptRows(rowKeys) },
      context,
      anywhere: false,
      make: (shape, options) => new DuePartition(shape, options, due),
    })
    this.alone = {
      name,
      kind: 'unmatched',
      due: this,
      readBy: () => {},
      keyOf: ({ key: bytes }) => (bytes === null ? undefined : keyCodec.decode(bytes)),
      valueOf: ({ value }) =>
        value === null ? [] : decodeKept(value, where).map((kept) => ({ side: kept.side, value: this.#valueOf(kept) })),
    }
  }

  openState(context: OpenStateOptions): OpenState {
    return this.#rows.open(context)
  }

  encode(side: Side, value: unknown): Buffer {
    return this.#codecs[side].encode(value)
  }

  /**
   * Keeps the current event, and returns the values of the other side that match it, the oldest first; `undefined` if the
   * event is late. All changes are effects of the event.
   */
  meet(side: Side, key: unknown, { value, counts, log }: MetBy): readonly unknown[] | undefined {
    const event = writingEvent(this.#context.contexts, this.#where)
    const rules = this.#rules
    const { timestamp: time } = event
    const ownStart = rules.bucketOf(time)
    const own = this.#rows.writing({ start: ownStart, key }, event)
    const partition = partitionOf(own)
    partition.writtenBy(event)
    const now = partition.time?.at(event) ?? -Infinity
    const lateByMs = now - rules.deadline(side, time)
    if (lateByMs > 0) {
      this.#late.hold(event, lateByMs, { counts, log })
      return undefined
    }
    const { from, to } = rules.meets(side, time)
    const found: KeptEvent[] = []
    for (let start = rules.bucketOf(Math.max(0, from)); start <= to; start += rules.bucketMs) {
      const entry = start === ownStart ? own : this.#rows.writing({ start, key }, event)
      this.#find({ side, from, to, now }, entry, event, found)
    }
    this.#keep(event, own, {
      side,
      isMatched: found.length > 0,
      time,
      source: this.#sources.of(event.topic),
      offset: event.offset,
      value,
    })
    if (found.length > 1) found.sort((a, b) => a.time - b.time)
    return found.map((kept) => this.#valueOf(kept))
  }

  /** Adds the events of a row that match. Those that would otherwise be given out unmatched are marked as matched. */
  #find(
    { side, from, to, now }: Met,
    entry: KeyEntry<readonly KeptEvent[]>,
    event: CurrentEvent,
    found: KeptEvent[],
  ): void {
    const rules = this.#rules
    const kept = entry.read(event)
    if (kept === undefined) return
    const met = kept.filter(
      (each) =>
        each.side !== side && each.time >= from && each.time <= to && now <= rules.deadline(each.side, each.time),
    )
    found.push(...met)
    if (!met.some((each) => !each.isMatched && rules.isGivenAlone(each.side))) return
    const after = kept.map((each) => (met.includes(each) ? { ...each, isMatched: true } : each))
    this.#rows.write(entry, event, after)
  }

  /** An event that is redelivered after a crash replaces itself. */
  #keep(event: CurrentEvent, entry: KeyEntry<readonly KeptEvent[]>, own: KeptEvent): void {
    const kept = entry.read(event) ?? []
    const before = kept.find(
      ({ side, source, offset }) => side === own.side && source === own.source && offset === own.offset,
    )
    const isMatched = own.isMatched || before?.isMatched === true
    const after = [...kept.filter((each) => each !== before), { ...own, isMatched }]
    if (sizeOf(after) > entry.rows.maxRowBytes - ROW_OVERHEAD)
      throw new MillraceError(
        'ROW_TOO_LARGE',
        `${entry.show()}: ${after.length} events of one key wait in it, ${sizeOf(after)} bytes; it may have ${entry.rows.maxRowBytes} (maxRecordBytes).`,
      )
    this.#rows.write(entry, event, after)
  }

  #valueOf({ side, value }: KeptEvent): unknown {
    return this.#codecs[side].decode(value)
  }
}

/** The encoded value of the current event, and where it is counted if it is late. */
export interface MetBy {
  readonly value: Buffer
  readonly counts: LateCounts
  readonly log: Logger
}

/** What an event matches: events of the other side from one time to another, unless they were given up by `now`. */
interface Met {
  readonly side: Side
  readonly from: number
  readonly to: number
  readonly now: number
}

/** Room for the key of a row, in bytes. */
const ROW_OVERHEAD = 1024

function keptRows(keys: WindowKeys<unknown>): RowShape<readonly KeptEvent[]> {
  return {
    where: keys.where,
    identify: (key) => keys.identify(key),
    show: (key) => keys.show(key),
    groupOf: undefined,
    // They are encoded once per commit, however many events arrive in between; `#keep` limits their size.
    admit: () => undefined,
    encode: (kept) => encodeKept(kept),
    decode: (bytes) => decodeKept(bytes, keys.where),
  }
}

/** All rows of a join are in a `DuePartition`. */
function partitionOf({ rows }: KeyEntry<readonly KeptEvent[]>): DuePartition<readonly KeptEvent[]> {
  if (rows instanceof DuePartition) return rows
  throw new Error(`The rows of ${rows.where} are never due.`)
}
