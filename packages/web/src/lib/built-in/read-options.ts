import { type Clock, MillraceError } from '@millrace/core'
import type { EventProgress } from '@millrace/worker'
import type { PageContext } from '../pages/page-context.ts'
import { unavailable } from '../pages/page-error.ts'
import { partitionOf } from '../routing/locate.ts'
import type { PartitionedTable, SiteWorker } from '../site-app.ts'
import type { SiteWorkers } from '../site-workers.ts'

/** What a read sees: rows of finished events, only what is committed, or what a warm copy has of that. */
export type ReadLevel = OwnersLevel | 'standby'

/** The levels at which only the owner of the key answers. */
export type OwnersLevel = 'finished' | 'committed'

/** An event that a read comes after. */
export interface EventPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** How often the owner looks whether it has come so far. */
const LOOK_AGAIN_MS = 10

/** `?read=` where only owners answer. Throws `READ_INVALID`. */
export function readLevel({ query }: PageContext, byDefault: OwnersLevel = 'finished'): OwnersLevel {
  const text = query.get('read') ?? byDefault
  if (text === 'finished' || text === 'committed') return text
  throw new MillraceError('READ_INVALID', `?read=${text} was given; it takes finished or committed.`)
}

/** `?read=` of a key. Throws `READ_INVALID`. */
export function readKeyLevel({ query }: PageContext): ReadLevel {
  const text = query.get('read') ?? 'finished'
  if (text === 'finished' || text === 'committed' || text === 'standby') return text
  throw new MillraceError('READ_INVALID', `?read=${text} was given; it takes finished, committed or standby.`)
}

/** `?maxLag=`: how many changelog offsets a copy may lack. Throws `READ_INVALID`. */
export function readMaxLag({ query }: PageContext, level: ReadLevel): number {
  const text = query.get('maxLag')
  if (text === null) return Infinity
  if (level !== 'standby') throw new MillraceError('READ_INVALID', '?maxLag= was given; it is for ?read=standby.')
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new MillraceError('READ_INVALID', `?maxLag=${text} was given; it takes a number of changelog offsets.`)
}

/** `?after=topic/partition@offset`; `undefined` without it. Throws `READ_INVALID`. */
export function readAfter({ query }: PageContext): EventPosition | undefined {
  const text = query.get('after')
  if (text === null) return undefined
  const [, topic, partition, offset] = /^(.+)\/(\d{1,9})@(\d{1,15})$/.exec(text) ?? []
  if (topic !== undefined) return { topic, partition: Number(partition), offset: Number(offset) }
  throw new MillraceError(
    'READ_INVALID',
    `?after=${text} was given; it takes topic/partition@offset, as in orders/3@1234.`,
  )
}

/** A read of a key that waits for an event. */
export interface ReadAfter {
  readonly table: PartitionedTable
  /** The key, encoded. */
  readonly key: Buffer
  readonly after: EventPosition
  readonly level: OwnersLevel
  /** Half of what the first worker waits for this one (`web.routeTimeout`). */
  readonly limitMs: number
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
  readonly signal: AbortSignal
}

/**
 * Resolves when the worker in whose context it is called, which has the key, has finished or committed an event. Rejects with
 * `READ_TIMEOUT`, with `READ_INVALID` for a partition that the key's task does not read, and with a `PageError` 503 if the task leaves meanwhile.
 */
export async function waitForEvent(workers: SiteWorkers, asked: ReadAfter): Promise<void> {
  const { table, key, after, level, limitMs, clock, signal } = asked
  const worker = workers.asked()
  const partition = partitionOf(table, key) ?? 0
  const endMs = clock.monotonic() + limitMs
  for (;;) {
    const progress = worker.progressOf(table, partition, after)
    if (progress === undefined) throw whyUnknown(worker, { table, partition, after })
    if (level === 'finished' ? progress.isFinished : progress.isCommitted) return
    if (clock.monotonic() >= endMs) throw tooLate(asked, progress)
    await clock.sleep(LOOK_AGAIN_MS, signal)
  }
}

function whyUnknown(
  worker: SiteWorker,
  { table, partition, after }: { table: PartitionedTable; partition: number; after: EventPosition },
): Error {
  const where = `Partition ${partition} of table "${table.name}"`
  const id = `${worker.context.partitionsOf(table) ?? 0}-${partition}`
  const task = worker.assignment().tasks.find((each) => each.id === id)
  if (task === undefined || task.sources.some((one) => one.topic === after.topic && one.partition === after.partition))
    return unavailable(`${where} is moving.`)
  const sources = task.sources.map((one) => `${one.topic}/${one.partition}`).join(', ')
  return new MillraceError(
    'READ_INVALID',
    `?after= names ${after.topic}/${after.partition}, and the key is in a task that reads ${sources}.`,
  )
}

function tooLate({ after, level, limitMs }: ReadAfter, { finishedTo, committedTo }: EventProgress): MillraceError {
  const to = level === 'finished' ? finishedTo : committedTo
  return new MillraceError(
    'READ_TIMEOUT',
    `After ${limitMs} ms the events of ${after.topic}/${after.partition} before offset ${to} are ${level}; the read waited for ${after.offset}.`,
  )
}
