import { MillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import type { CurrentEvent } from '../contracts/event.ts'
import type { Lease } from '../environment/lease.ts'
import type { Block, BlockListener } from '../environment/loop-watch.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Refusal, Refusals } from './event-origin.ts'
import { EventInFlight } from './event-in-flight.ts'

/** An event that may have blocked the event loop for so long that its worker lost its partitions. */
export interface BlockingEvent extends TopicPartition {
  /** The subscription whose agent handled it. */
  readonly subscription: string
  readonly offset: number
  /**
   * How often its handler was seen to block. It counts as seen if no other event was handed out in the same run of the
   * event loop.
   */
  readonly rounds: number
  /** The event has failed for good, because its handler was seen to block often enough. */
  readonly isSure: boolean
  /** How long the event loop was blocked the last time. */
  readonly blockedMs: number
}

/** The most events that are kept and passed on to the group. */
export const MOST_BLOCKING_EVENTS = 256
/** After this time the new owner has handled the event, or has found out by itself that it blocks. */
const KEPT_MS = 600_000
/** A handler may block once without fault (a cold cache, a busy machine), and its event must not fail for that. */
const SURE_AFTER_ROUNDS = 2
const MOST_LOGGED = 5

/** Hands out events, and remembers the latest ones. */
export interface RecentEvents {
  /** Events that may have been handled since the last check of the event loop, without having yielded before. */
  handled(): readonly EventInFlight[]
  /** Remembered events that are in flight. */
  inFlight(): readonly EventInFlight[]
}

/**
 * Events that block the event loop for longer than the session. Each owner of their partition in turn loses its
 * membership before it commits anything, so the group passes these events on to the next owner. That owner hands each
 * of them out alone, so that a second block shows which one is at fault. An event whose handler was seen to block twice
 * has failed for good (`EVENT_BLOCKED`). An event that awaits something cannot be observed: the block may just as well
 * come from a job, a page or the garbage collector. Such an event is never blamed; it is only handed out after the
 * others.
 */
export class BlockingEvents implements BlockListener {
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #lease: Pick<Lease, 'valid'>
  readonly #subscriptions: readonly RecentEvents[]
  readonly #known = new Map<string, BlockingEvent & { readonly sinceMs: number }>()

  constructor(
    environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>,
    lease: Pick<Lease, 'valid'>,
    subscriptions: readonly RecentEvents[],
  ) {
    this.#environment = environment
    this.#lease = lease
    this.#subscriptions = subscriptions
  }

  loopBlocked({ ms, isBusy, event: found }: Block): void {
    const { log, settings } = this.#environment
    const { sessionTimeoutMs } = settings
    const handled = leadersOf([...this.#ofHere(found), ...this.#subscriptions.flatMap((one) => one.handled())])
    const waiting = handled.length > 0 ? [] : leadersOf(this.#subscriptions.flatMap((one) => one.inFlight()))
    // The worker may already know that it has lost its partitions.
    const isLost = !this.#lease.valid
    const events = [...handled, ...waiting]
      .slice(0, MOST_LOGGED)
      .map(({ agent, topic, partition, offset }) => ({ agent, topic, partition, offset }))
    log.warn(
      { blockedMs: Math.round(ms), computing: isBusy, events },
      `The event loop was blocked for ${Math.round(ms)} ms (sessionTimeout is ${sessionTimeoutMs} ms)${isBusy ? '' : ' while the process stood still'}. ${whoWas(
        handled,
        waiting,
      )}${isLost ? ' The group may have gone on without this worker.' : ''}`,
    )
    // The process was suspended from outside, so its events are not the cause.
    if (!isLost || !isBusy) return
    const seen = handled.length === 1 ? 1 : 0
    for (const event of handled.length > 0 ? handled : waiting)
      for (const { origin, topic, partition, offset } of event.batch()) {
        const subscription = origin.subscription.spec.id
        const rounds = seen + this.#roundsOf({ subscription, topic, partition, offset })
        const isSure = rounds >= SURE_AFTER_ROUNDS
        this.#note({ subscription, topic, partition, offset, rounds, isSure, blockedMs: Math.round(ms) })
      }
  }

  /** Takes in what the group's leader knows of the partitions assigned here. */
  learn(events: readonly BlockingEvent[]): void {
    for (const event of events) {
      const known = this.#known.get(keyOf(event))
      if (known === undefined || event.rounds > known.rounds || (event.isSure && !known.isSure)) this.#note(event)
    }
  }

  /**
   * What this worker reports when it joins. `committed` gives the committed position of partitions that are here;
   * events before it are dropped.
   */
  report(committed: (partition: TopicPartition) => number | undefined): readonly BlockingEvent[] {
    const fromMs = this.#environment.clock.monotonic() - KEPT_MS
    for (const [key, event] of this.#known)
      if (event.sinceMs < fromMs || event.offset < (committed(event) ?? 0)) this.#known.delete(key)
    return [...this.#known.values()].map(({ sinceMs: _, ...event }) => event)
  }

  /**
   * Whether these partitions have an event that may block, but whose handler was not yet seen to block often enough.
   */
  isUnclear(partitions: readonly TopicPartition[]): boolean {
    if (this.#known.size === 0) return false
    const keys = new Set(partitions.map(partitionKey))
    return [...this.#known.values()].some((event) => !event.isSure && keys.has(partitionKey(event)))
  }

  /**
   * The blocking events of a subscription and partition, from a committed position on; `undefined` if none is known.
   */
  from(subscription: string, source: TopicPartition, position: number): Refusals | undefined {
    const found = new Map<number, Refusal>()
    for (const event of this.#known.values())
      if (
        event.subscription === subscription &&
        partitionKey(event) === partitionKey(source) &&
        event.offset >= position
      )
        found.set(event.offset, {
          attempts: event.rounds,
          error: event.isSure ? blockedError(event) : undefined,
          mayBlock: true,
        })
    return found.size === 0 ? undefined : found
  }

  /** Leaves out events of other workers in this process. */
  #ofHere(event: CurrentEvent | undefined): readonly EventInFlight[] {
    if (!(event instanceof EventInFlight)) return []
    const { subscription } = event.origin
    return this.#subscriptions.some((one: object) => one === subscription) ? [event] : []
  }

  #roundsOf(event: BlockingEventKey): number {
    return this.#known.get(keyOf(event))?.rounds ?? 0
  }

  #note(event: BlockingEvent): void {
    const key = keyOf(event)
    this.#known.delete(key)
    this.#known.set(key, { ...event, sinceMs: this.#environment.clock.monotonic() })
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_BLOCKING_EVENTS) return
      this.#known.delete(oldest)
    }
  }
}

type BlockingEventKey = Pick<BlockingEvent, 'subscription' | 'topic' | 'partition' | 'offset'>

function keyOf({ subscription, offset, ...partition }: BlockingEventKey): string {
  return `${subscription} ${partitionKey(partition)} ${offset}`
}

/** Represents each batch by its leader, once. */
function leadersOf(events: readonly EventInFlight[]): readonly EventInFlight[] {
  return [...new Set(events.map((event) => event.batchLeader))]
}

function whoWas(handled: readonly EventInFlight[], waiting: readonly EventInFlight[]): string {
  const named = (events: readonly EventInFlight[]): string => {
    const more = events.length > MOST_LOGGED ? ` and ${events.length - MOST_LOGGED} more` : ''
    return `${events
      .slice(0, MOST_LOGGED)
      .map((event) => event.describe())
      .join(', ')}${more}`
  }
  if (handled.length > 0) return `At work: ${named(handled)}.`
  if (waiting.length === 0) return 'No event was being handled.'
  return `In flight, but waiting when the block began: ${named(waiting)}.`
}

function blockedError({ topic, partition, offset, rounds, blockedMs }: BlockingEvent): MillraceError {
  return new MillraceError(
    'EVENT_BLOCKED',
    `Handling ${topic}/${partition} at offset ${offset} has blocked the event loop ${rounds} times, the last time for ${blockedMs} ms.`,
  )
}
