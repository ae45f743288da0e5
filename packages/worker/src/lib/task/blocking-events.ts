import { MillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import type { CurrentEvent } from '../contracts/event.ts'
import type { Lease } from '../environment/lease.ts'
import type { Block, BlockListener } from '../environment/loop-watch.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { Refusal, Refusals } from './event-origin.ts'
import { EventInFlight } from './event-in-flight.ts'

/** An event that may have blocked the event loop for so long that its worker lost its partitions. */
export interface BlockingEvent extends TopicPartition {
  /** Of the agent that handled it. */
  readonly subscription: string
  readonly offset: number
  /** How often its handler was seen to do it: no other event was handed out in the run of the event loop that blocked. */
  readonly rounds: number
  /** It counts as failed for good: its handler was seen to do it often enough. */
  readonly isSure: boolean
  /** For how long, the last time. */
  readonly blockedMs: number
}

/** More are neither kept nor passed on to the group. */
export const MOST_BLOCKING_EVENTS = 256
/** Then whoever has its partition has handled it, or has found out for itself. */
const KEPT_MS = 600_000
/** A handler that computes for long once must not cost its event: the first time may be a cold cache, or a machine that was busy. */
const SURE_AFTER_ROUNDS = 2
const MOST_LOGGED = 5

/** Hands out events, and remembers the last of them. */
export interface RecentEvents {
  /** Those that may have been handled since the last check of the event loop, without having yielded before. */
  handled(): readonly EventInFlight[]
  /** Those in flight, as far as they are remembered. */
  inFlight(): readonly EventInFlight[]
}

/**
 * Events that block the event loop for longer than the session, and so have every owner of their partition thrown out
 * in turn, with nothing committed: the group passes them on to whoever gets the partition next. That one hands them out
 * by themselves, so that a second block shows whose it is. One whose handler was seen to block twice counts as failed
 * for good (`EVENT_BLOCKED`). What an event that waits for something is doing cannot be seen: a block may be a job's, a
 * page's or the garbage collector's just as well. Such an event is never blamed, and only handed out after the others.
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
    // It may have heard of its loss already.
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
    // A process that stood still was stopped from outside: its events have nothing to do with it.
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

  /** What the group's leader knows of partitions that are here now. */
  learn(events: readonly BlockingEvent[]): void {
    for (const event of events) {
      const known = this.#known.get(keyOf(event))
      if (known === undefined || event.rounds > known.rounds || (event.isSure && !known.isSure)) this.#note(event)
    }
  }

  /** For a join. `committed`: of partitions that are here; what is before it is done with. */
  report(committed: (partition: TopicPartition) => number | undefined): readonly BlockingEvent[] {
    const fromMs = this.#environment.clock.monotonic() - KEPT_MS
    for (const [key, event] of this.#known)
      if (event.sinceMs < fromMs || event.offset < (committed(event) ?? 0)) this.#known.delete(key)
    return [...this.#known.values()].map(({ sinceMs: _, ...event }) => event)
  }

  /** Whether some event of these partitions may be the one, and others too. */
  isUnclear(partitions: readonly TopicPartition[]): boolean {
    if (this.#known.size === 0) return false
    const keys = new Set(partitions.map(partitionKey))
    return [...this.#known.values()].some((event) => !event.isSure && keys.has(partitionKey(event)))
  }

  /** Of a subscription and partition, from a committed position on; `undefined` when there is none. */
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

  /** Other workers of this process have events, too. */
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

/** Each batch once, by the event that stands for it. */
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
  return `In flight, but waiting when it began: ${named(waiting)}.`
}

function blockedError({ topic, partition, offset, rounds, blockedMs }: BlockingEvent): MillraceError {
  return new MillraceError(
    'EVENT_BLOCKED',
    `Handling ${topic}/${partition} at offset ${offset} has blocked the event loop ${rounds} times, the last time for ${blockedMs} ms.`,
  )
}
