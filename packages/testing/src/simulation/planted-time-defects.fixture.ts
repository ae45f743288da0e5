import { type CommitOffset, type OutgoingRecord, partitionKey } from '@millrace/core'
import type { Consumer, Producer, StoreDriver, Transport } from '@millrace/core/driver'
import type { EventTime } from '@millrace/worker'
import { bound, changed, copyOf, sending } from './planted-defects.fixture.ts'
import type { TimedView } from './scenarios/scenario.fixture.ts'

/** An entry of a commit's metadata: the time of a state, with what follows it. */
const STATE_TIME = /(?<=^| )<<([^< ]+)<([^< ]*)(?=<)/g
/** The agent of `windows` that groups, and the header of the watermarks that its tasks send. */
const GROUPING = 'count-groups'
const WATERMARK_HEADER = 'millrace-watermark'
/** Where a row of `dedupe` has the offset of its event. */
const OFFSET_AT = 4

/**
 * Restores event time as of the last commit that was tried, as if it were kept in the changelog: that has it when a crash
 * leaves the offsets behind. For the workers of one run.
 */
export function keepsTimeWithRows(): (transport: Transport) => Transport {
  const tried = new Map<string, ReadonlyMap<string, string>>()
  const restored = ({ metadata, ...at }: CommitOffset): CommitOffset => {
    const times = tried.get(partitionKey(at))
    const text = metadata.replaceAll(
      STATE_TIME,
      (_, state: string, time: string) => `<<${state}<${times?.get(state) ?? time}`,
    )
    return { ...at, metadata: text }
  }
  const consumer = (inner: Consumer): Consumer => ({
    ...bound(inner),
    commit: (offsets) => {
      for (const { metadata, ...at } of offsets) {
        const times = [...metadata.matchAll(STATE_TIME)].map(([, state = '', time = '']) => [state, time] as const)
        tried.set(partitionKey(at), new Map(times))
      }
      return inner.commit(offsets)
    },
    committed: async (partitions) => (await inner.committed(partitions)).map(restored),
  })
  return (transport) => changed(transport, { consumer: (options) => consumer(transport.consumer(options)) })
}

/** Sends the event time that a commit is to have into the repartition topic before the commit, and not after it. */
export function sendsTimeEarly(transport: Transport): Transport {
  /** The last watermark that each task has sent to each partition. */
  const sent = new Map<string, readonly OutgoingRecord[]>()
  let producer: Producer | undefined
  let guard = (): void => {}
  const watermarks = (offsets: readonly CommitOffset[]): readonly OutgoingRecord[] =>
    offsets.flatMap(({ partition, metadata }) => {
      const time = new RegExp(`(?:^| )<${GROUPING}<([^:]+):`).exec(metadata)?.[1]
      const task = [...sent.keys()].find((id) => id.endsWith(`-${partition}`))
      if (time === undefined || task === undefined) return []
      const headers = [[WATERMARK_HEADER, Buffer.from(`${task}:${time}:`)]] as const
      return (sent.get(task) ?? []).map((record) => ({ ...copyOf(record), headers }))
    })
  return changed(transport, {
    producer: () => {
      const inner = transport.producer()
      producer = inner
      return {
        partitions: (topic) => inner.partitions(topic),
        brokerOf: (at) => inner.brokerOf(at),
        send: (records, options) => {
          guard = options.guard
          for (const record of records) {
            const task = taskOf(record)
            if (task === undefined) continue
            const others = (sent.get(task) ?? []).filter(({ partition }) => partition !== record.partition)
            sent.set(task, [...others, record])
          }
          return inner.send(records, options)
        },
        close: () => inner.close(),
      }
    },
    consumer: (options) => {
      const inner = transport.consumer(options)
      return {
        ...bound(inner),
        commit: async (offsets) => {
          // Without a lease the commit fails, too, and says so.
          await producer?.send(watermarks(offsets), { guard }).catch(() => undefined)
          await inner.commit(offsets)
        },
      }
    },
  })
}

/** The task whose watermark this is, of the grouping agent. */
function taskOf({ topic, headers }: OutgoingRecord): string | undefined {
  if (!topic.includes(GROUPING) || headers[0]?.[0] !== WATERMARK_HEADER) return undefined
  return headers[0][1]?.toString().split(':')[0]
}

/** Keeps rows of `dedupe` without the offsets of their events. */
export function forgetsOffsets(transport: Transport): Transport {
  const known = new WeakMap<OutgoingRecord, OutgoingRecord>()
  const without = (record: OutgoingRecord): OutgoingRecord => {
    if (!isOfDedupe(record.topic)) return record
    const made = known.get(record) ?? { ...copyOf(record), value: withoutOffset(record.value) }
    known.set(record, made)
    return made
  }
  return sending(transport, (inner) => (records, options) => inner.send(records.map(without), options))
}

/** The same for stores. */
export function forgetsStoredOffsets(store: StoreDriver): StoreDriver {
  return {
    capabilities: store.capabilities,
    open: (table, partition) => store.open(table, partition),
    checkpoint: (table, partition) => store.checkpoint(table, partition),
    commit: (changes) =>
      store.commit(
        changes.map((change) =>
          isOfDedupe(change.partition.table)
            ? { ...change, rows: change.rows.map(({ key, value }) => ({ key, value: withoutOffset(value) })) }
            : change,
        ),
      ),
    close: () => store.close(),
  }
}

function isOfDedupe(name: string): boolean {
  return /-dedupe(?:-changelog)?$/.test(name)
}

/** Rows of ids have 20 bytes; entries of the index have others. */
function withoutOffset(value: Buffer | null): Buffer | null {
  if (value?.length !== 20) return value
  const changed = Buffer.from(value)
  changed.writeDoubleBE(-1, OFFSET_AT)
  return changed
}

/** Deletes expired rows by the running event time instead of the committed one. */
export function expiresEarly(view: TimedView): void {
  changeTime(view, (time) => ({ committed: () => time.watermark, at: (event) => time.at(event) }))
}

/** Judges lateness by what has closed instead of by event time. */
export function isLateWhenClosed(view: TimedView): void {
  changeTime(view, (time) => ({ committed: () => time.committed, at: () => time.committed }))
}

interface ChangedTime {
  readonly committed: () => number
  readonly at: EventTime['at']
}

function changeTime(view: TimedView, change: (time: EventTime) => ChangedTime): void {
  const open = view.openState.bind(view)
  view.openState = (context) => {
    const { time } = context
    if (time === undefined) return open(context)
    const { committed, at } = change(time)
    return open({
      ...context,
      time: {
        get watermark() {
          return time.watermark
        },
        get committed() {
          return committed()
        },
        at,
        writtenBy: (event) => time.writtenBy(event),
        wakeAt: (wanted) => time.wakeAt(wanted),
        touchAt: (wanted) => time.touchAt(wanted),
      },
    })
  }
}
