import { type Clock, formatDuration } from '@millrace/core'
import type { WatermarkHold, WatermarkStats } from '../contracts/watermark-stats.ts'
import { PartitionCursor } from './cursor.ts'
import type { EventOrigin } from './event-origin.ts'
import type { StateTime } from './state-time.ts'

/** The largest time that a date can have. */
const LAST_DATE_MS = 8.64e15

/** A watermark that is shown. */
export interface ShownTime {
  readonly name: string
  readonly kind: WatermarkStats['kind']
  readonly time: StateTime
}

/** The task and clocks by which watermarks are shown. */
export interface ShownIn {
  readonly task: string
  readonly partition: number
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly idleAfterMs: number
}

/** Made only when somebody asks: nothing is kept for it, and an event costs nothing. */
export function watermarkStats({ name, kind, time }: ShownTime, shown: ShownIn): WatermarkStats {
  const { watermark, committed, alarm, origins } = time
  return {
    name,
    kind,
    partition: shown.partition,
    task: shown.task,
    watermark: iso(watermark),
    committed: iso(committed),
    behindMs: watermark === -Infinity ? undefined : shown.clock.now() - watermark,
    waitsFor: iso(alarm),
    sources: origins.flatMap(({ topic, partition, subscription, times }) =>
      times === undefined
        ? []
        : [{ topic, partition, agent: subscription.spec.agent, watermark: iso(times.finished), idle: times.idle }],
    ),
    heldBy: holdOf(origins, shown),
  }
}

/** The lowest source that is not idle; among equal ones, the one about which something can be done. */
function holdOf(origins: readonly EventOrigin[], shown: ShownIn): WatermarkHold | undefined {
  const active = origins.filter(({ times }) => times !== undefined && !times.idle)
  const lowest = Math.min(...active.map(({ times }) => times?.finished ?? Infinity))
  const found = active.filter(({ times }) => times?.finished === lowest).map((origin) => reasonOf(origin, shown))
  const first = RANKS.flatMap((rank) => found.filter(({ reason }) => reason === rank))[0]
  if (first === undefined) return undefined
  const { movedAtMs, origin, ...reason } = first
  const { topic, partition, subscription } = origin
  const forMs = shown.clock.monotonic() - movedAtMs
  const since = new Date(shown.clock.now() - forMs).toISOString()
  return { topic, partition, agent: subscription.spec.agent, since, forMs, ...reason }
}

const RANKS: readonly WatermarkHold['reason'][] = ['event', 'records', 'upstream', 'due', 'end']

interface FoundReason extends Pick<WatermarkHold, 'reason' | 'offset' | 'upstream' | 'why'> {
  readonly origin: EventOrigin
  readonly movedAtMs: number
}

function reasonOf(origin: EventOrigin, { idleAfterMs }: ShownIn): FoundReason {
  const { tracker, times, subscription } = origin
  const { agent } = subscription.spec
  const where = `${origin.topic}/${origin.partition}`
  const found = { origin, offset: undefined, upstream: undefined, movedAtMs: times?.movedAtMs ?? 0 }
  const [offset] = tracker.unfinished(1)
  const slowest = origin instanceof PartitionCursor ? origin.upstream?.slowest : undefined
  if (offset !== undefined && !(origin instanceof PartitionCursor && isHeldUpstream(origin))) {
    const event = origin instanceof PartitionCursor ? `event ${where}@${offset}` : `an event of ${where} that is due`
    return { ...found, reason: 'event', offset, why: `agent ${agent} has not finished ${event}` }
  }
  if (!(origin instanceof PartitionCursor))
    return { ...found, reason: 'due', why: `${where}, whose events agent ${agent} handles, has come no further itself` }
  if (origin.hasMore || !origin.isAtEnd || isBehind(origin)) {
    const why = origin.task.whyNot(origin, subscription.spec.id)
    return {
      ...found,
      reason: 'records',
      why: `agent ${agent} has records of ${where} still to come${why === undefined ? '' : ` (${why})`}`,
    }
  }
  if (slowest !== undefined) {
    const { task, movedAtMs } = slowest
    const why = `task ${task}, which writes into ${origin.topic}, has come no further`
    return { ...found, reason: 'upstream', upstream: task, movedAtMs, why }
  }
  return { ...found, reason: 'end', why: `${where} is at its end, and ${idleWords(idleAfterMs)}` }
}

/** Whether finishing the events in flight would not raise its time, and nothing is left to read. */
function isHeldUpstream(cursor: PartitionCursor): boolean {
  const { upstream, times, hasMore } = cursor
  return upstream !== undefined && times !== undefined && times.highest === times.finished && !hasMore
}

function isBehind({ source }: PartitionCursor): boolean {
  return (source.endOffset ?? 0) > source.position
}

function idleWords(idleAfterMs: number): string {
  return idleAfterMs === Infinity
    ? 'never counts as idle (idleAfter: false): only its next event moves it on'
    : `counts as idle only after ${formatDuration(idleAfterMs)} without events (idleAfter)`
}

/** `undefined` for a time that no date can have. */
function iso(time: number): string | undefined {
  return Math.abs(time) <= LAST_DATE_MS ? new Date(time).toISOString() : undefined
}
