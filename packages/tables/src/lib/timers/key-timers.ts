import { type CodecSpec, headerNamed, MillraceError, type OptionNames, type RawRecord } from '@millrace/core'
import {
  changelogOf,
  CodecKeys,
  DuePartition,
  type DueRecord,
  type KeyEntry,
  type KeyShape,
  readingEvent,
  type RowShape,
  type StateContext,
  TaskLocator,
  TIMER_HEADER,
  writingEvent,
} from '@millrace/state'
import type { DueSource, OpenState, OpenStateOptions, RoutedTable, StateDefinition, TableStats } from '@millrace/worker'
import { KeyedTable } from '../keyed-table.ts'
import {
  KEYED_OPTIONS,
  type KeyedDefinition,
  type KeyedOptions,
  type KeyOf,
  readOptions,
  type ValueOf,
} from '../options.ts'
import { groupRange } from '../set-shape.ts'
import { type PendingTimer, type TimerKey, timerShape } from './timer-shape.ts'

/** How timers are declared. Keys are those of the topic whose events set them. */
export interface KeyTimersOptions<KS extends CodecSpec, VS extends CodecSpec> extends KeyedOptions<KS, VS> {
  /**
   * `wall`: timers are due by the clock. `event`: by event time, which advances with the events that set timers; a replay then
   * fires them as the first run did.
   */
  readonly clock: 'wall' | 'event'
}

/** A due timer. */
export interface FiredTimer<K, V> {
  readonly key: K
  readonly name: string
  /** The time for which it was set, in milliseconds since the epoch. */
  readonly at: number
  readonly value: V
  /** How late it fires, in milliseconds of its clock; much only if no worker ran when it was due. */
  readonly lateByMs: number
}

/** Declared timers, with the codecs resolved. */
export interface KeyTimersDefinition<K, V> extends KeyedDefinition<K, V> {
  readonly clock: 'wall' | 'event'
}

const NO_KEY = Buffer.alloc(0)
/** The latest time that a `Date` can have. */
const LATEST = 8.64e15

/**
 * Timers of keys, kept as a table is: they outlive restarts, move with their partition, and are set and cancelled as effects
 * of events. An agent reads the due ones. Made by `app.keyTimers`.
 *
 * @example
 * const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock: 'wall' })
 * reminders.set(order.id, 'unpaid', app.clock.now() + 600_000, order.customer)
 * app.agent('remind', reminders, async (fired) => {
 *   for await (const { key, name, value } of fired) await mails.send({ key, value: `${name}: ${value}` })
 * })
 */
export class KeyTimers<K, V>
  extends KeyedTable<K, TimerKey<K>, PendingTimer<V>>
  implements StateDefinition, RoutedTable, DueSource<K, FiredTimer<K, V>>
{
  readonly changelog: StateDefinition['changelog']
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  /** Also for timers by the clock, because firings are committed with the offsets. */
  readonly eventTime: boolean = true
  readonly kind = 'timer'
  readonly due: StateDefinition = this
  protected override readonly rows: TaskLocator<TimerKey<K>, PendingTimer<V>>
  readonly #keys: KeyShape<TimerKey<K>>
  readonly #shape: RowShape<PendingTimer<V>>
  readonly #clock: 'wall' | 'event'
  #reader: string | undefined = undefined

  constructor(context: StateContext, definition: KeyTimersDefinition<K, V>) {
    super(context, new CodecKeys<K>(definition), definition)
    const shape = timerShape(definition)
    this.#keys = shape.keys
    this.#shape = shape.rows
    this.#clock = definition.clock
    this.changelog = changelogOf(context.appId, definition.name)
    this.partitions = definition.partitions
    this.standbys = definition.standbys
    const { keyCodec } = this
    this.rows = new TaskLocator({
      definition: this,
      shape,
      context,
      anywhere: false,
      make: (rows, options) =>
        new DuePartition(rows, options, {
          keyCodec,
          clock: definition.clock,
          dueOf: ({ at }) => at,
          record: (row, timer) => this.#recordOf(row, timer),
        }),
    })
  }

  /**
   * Sets a timer of a key, as an effect of the current event. Setting it again moves it. It fires at `at` or soon after it,
   * never before, and at once if `at` has passed.
   *
   * @param at milliseconds since the epoch, or a `Date`
   * @throws `TIMER_TIME_INVALID`; otherwise as `set` of a table
   * @example
   * reminders.set(order.id, 'unpaid', app.clock.now() + 600_000, order.customer)
   */
  set(key: K, name: string, at: number | Date, value: V): void {
    const event = writingEvent(this.storage, this.keyShape.where)
    const time = this.#timeOf(at, name)
    if (value === undefined)
      throw new MillraceError(
        'VALUE_UNDEFINED',
        `set of ${this.keyShape.where} was given undefined for timer "${name}".`,
      )
    this.uses.addWrite(event.agent)
    const entry = this.rows.writing({ key, element: name }, event)
    // Also by the clock: what has fired is committed with the partition of the writer.
    partitionOf(entry).writtenBy(event)
    this.rows.write(entry, event, entry.rows.guard({ at: time, value }))
  }

  /**
   * Cancels a timer of a key, or without a name all of them, as an effect of the current event. Returns whether there was one.
   * Throws as `delete` of a table does.
   */
  cancel(key: K, name?: string): boolean {
    const event = writingEvent(this.storage, this.keyShape.where)
    this.uses.addWrite(event.agent)
    if (name !== undefined) {
      const entry = this.rows.writing({ key, element: name }, event)
      if (entry.view(event) === undefined) return entry.read(event) !== undefined
      this.rows.write(entry, event, undefined)
      return true
    }
    const rows = this.rows.rowsOf({ key }, event)
    const found = rows.group(groupRange(this.#keys.encode({ key })), event)
    for (const row of found) this.rows.write(rows.entryOf(row), event, undefined)
    return found.length > 0
  }

  /** When a timer of a key is due, and its value; `undefined` if it is not set. Throws as `get` of a table does. */
  get(key: K, name: string): PendingTimer<V> | undefined {
    this.uses.reads++
    const event = readingEvent(this.storage)
    const member = { key, element: name }
    const entry = event === undefined ? this.rows.outside(member) : this.rows.reading(member, event)
    return entry.read(event)
  }

  /** The timers in the partitions that are here, as `Table.entries`. */
  async *entries(): AsyncGenerator<readonly [key: K, timer: PendingTimer<V> & { readonly name: string }]> {
    for await (const [row, { at, value }] of this.scan((bytes, timer) => [bytes, timer] as const)) {
      const { key, element: name = '' } = this.#keys.decode(row)
      yield [key, { name, at, value }]
    }
  }

  /** The timers of a key typed as text, for pages and commands: `undefined` if it has none. Throws `KEY_INVALID`. */
  lookup(text: string): readonly (PendingTimer<V> & { readonly name: string })[] | undefined {
    const key = this.keyOf(text)
    const rows = this.rows.rowsOf({ key }, readingEvent(this.storage))
    const found = rows.group(groupRange(this.#keys.encode({ key })), undefined).flatMap((row) => {
      const timer = rows.peek(row, undefined, undefined)
      return timer === undefined ? [] : { name: this.#keys.decode(row).element ?? '', ...timer }
    })
    return found.length === 0 ? undefined : found
  }

  override stats(): TableStats {
    const opened = this.rows.opened().flatMap((rows) => (rows instanceof DuePartition ? [rows] : []))
    const next = Math.min(...opened.map(({ due }) => due.nextTime))
    return {
      ...super.stats(),
      timers: {
        fired: opened.reduce((sum, { due }) => sum + due.fired, 0),
        next: next === Infinity ? undefined : new Date(next).toISOString(),
      },
    }
  }

  readBy(agent: string): void {
    if (this.#reader !== undefined && this.#reader !== agent)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agents "${this.#reader}" and "${agent}" both read ${this.keyShape.where}: let one of them send what the other needs to a topic.`,
      )
    this.#reader = agent
  }

  /** Throws `TIMERS_UNREAD` if no agent reads the due timers. */
  assertRead(): void {
    if (this.#reader === undefined)
      throw new MillraceError('TIMERS_UNREAD', `No agent reads ${this.keyShape.where}: its timers would never fire.`)
  }

  /** Decodes a key that was typed as text, or the key of a due timer. Throws `KEY_INVALID` for invalid text. */
  override keyOf(from: string | Pick<RawRecord, 'key'>): K {
    return typeof from === 'string' ? super.keyOf(from) : this.keyShape.decode(from.key ?? NO_KEY)
  }

  override valueOf(record: Pick<RawRecord, 'key' | 'value' | 'headers'>): FiredTimer<K, V> {
    const { at, value } = this.#shape.decode(record.value ?? NO_KEY, record.key ?? NO_KEY)
    const name = headerNamed(record.headers, TIMER_HEADER) ?? ''
    return { key: this.keyOf(record), name, at, value, lateByMs: Math.max(0, this.#now() - at) }
  }

  openState(context: OpenStateOptions): OpenState {
    return this.rows.open(context)
  }

  partitionOf(key: Buffer): number | undefined {
    return this.rows.partitionOf(this.keyShape, key)
  }

  state(partition: number): OpenState | undefined {
    return this.rows.state(partition)
  }

  /** `key`, `name` and `at` are separate fields, so that a dead letter shows them. */
  #recordOf(row: Buffer, timer: PendingTimer<V>): DueRecord {
    const { key, element: name = '' } = this.#keys.decode(row)
    return {
      key: this.keyShape.encode(key),
      value: this.#shape.encode(timer),
      headers: [[TIMER_HEADER, Buffer.from(name)]],
    }
  }

  #timeOf(at: number | Date, name: string): number {
    const time = Math.ceil(Number(at))
    if (time >= 0 && time <= LATEST) return time
    throw new MillraceError(
      'TIMER_TIME_INVALID',
      `Timer "${name}" of ${this.keyShape.where} was set for ${String(at)}, which is no time.`,
    )
  }

  /** The time by the clock of the timers. */
  #now(): number {
    const work = this.storage.getStore()
    const worker = work?.worker
    if (worker === undefined) return Number.NaN
    if (this.#clock === 'wall') return worker.clock.now()
    const open = work?.event?.task.open(this)
    return open instanceof DuePartition ? (open.time?.watermark ?? Number.NaN) : Number.NaN
  }
}

/** All rows of timers are in a `DuePartition`. */
function partitionOf<V>({ rows }: KeyEntry<V>): DuePartition<V> {
  if (rows instanceof DuePartition) return rows
  throw new Error(`The rows of ${rows.where} are no timers.`)
}

const TIMER_OPTIONS: OptionNames<KeyTimersOptions<CodecSpec, CodecSpec>> = { ...KEYED_OPTIONS, clock: true }

/**
 * Declares timers. What `app.keyTimers` calls.
 *
 * @throws `CODEC_UNKNOWN`, `NAME_INVALID`, `DEFINITION_INVALID`
 */
export function createKeyTimers<KS extends CodecSpec, VS extends CodecSpec>(
  context: StateContext,
  name: string,
  options: KeyTimersOptions<KS, VS>,
): KeyTimers<KeyOf<KS>, ValueOf<VS>> {
  const definition = readOptions<KS, VS>({ kind: 'key timers', name, context }, options, TIMER_OPTIONS)
  const { clock } = options
  if (clock !== 'wall' && clock !== 'event')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `clock of ${definition.where} is ${JSON.stringify(clock)}; it takes 'wall' (the clock of the workers) or 'event' (event time).`,
    )
  return new KeyTimers(context, { ...definition, clock })
}
