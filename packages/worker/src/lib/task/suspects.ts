import { MillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import type { Lease } from '../environment/lease.ts'
import type { Block, BlockListener } from '../environment/loop-watch.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { PartitionRefusals, Refusal } from './cursor.ts'
import type { EventInFlight } from './event-in-flight.ts'

/** An event that was being handled while the event loop was blocked for so long that its worker lost its partitions. */
export interface Suspect extends TopicPartition {
  /** Of the agent that handled it. */
  readonly subscription: string
  readonly offset: number
  /** How often. */
  readonly rounds: number
  /** It was this one. */
  readonly isSure: boolean
  /** For how long, the last time. */
  readonly blockedMs: number
}

/** More are neither kept nor passed on to the group. */
export const MOST_SUSPECTS = 256
/** Then whoever has its partition has handled it, or has found out for itself. */
const KEPT_MS = 600_000
/** An event that was there each time: nothing else has been as often. */
const SURE_AFTER_ROUNDS = 3
const MOST_LOGGED = 5

/** Hands out events, and remembers the last of them. */
export interface RecentEvents {
  /** Those that were being handled since the last check of the event loop, or may have been. */
  recent(): readonly EventInFlight[]
}

/**
 * Events that block the event loop for longer than the session, and so have every owner of their partition thrown out
 * in turn, with nothing committed: the group passes them on to whoever gets the partition next. One that surely was it
 * counts as failed for good (`EVENT_BLOCKED`). Where it may have been one of several, the next owner looks at the clock
 * after each of them.
 */
export class Suspects implements BlockListener {
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #lease: Pick<Lease, 'hasRunOut'>
  readonly #subscriptions: readonly RecentEvents[]
  readonly #known = new Map<string, Suspect & { readonly sinceMs: number }>()

  constructor(
    environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>,
    lease: Pick<Lease, 'hasRunOut'>,
    subscriptions: readonly RecentEvents[],
  ) {
    this.#environment = environment
    this.#lease = lease
    this.#subscriptions = subscriptions
  }

  loopBlocked({ ms, isBusy }: Block): void {
    const { log, settings } = this.#environment
    const { sessionTimeoutMs } = settings
    const recent = this.#subscriptions.flatMap((subscription) => subscription.recent())
    const blamed = this.#mostSuspect([...new Set(recent.map((event) => event.batchLeader))])
    const isLost = this.#lease.hasRunOut
    const events = blamed
      .slice(0, MOST_LOGGED)
      .map(({ agent, topic, partition, offset }) => ({ agent, topic, partition, offset }))
    const what = blamed.map((event) => event.describe()).slice(0, MOST_LOGGED)
    const more = blamed.length > MOST_LOGGED ? ` and ${blamed.length - MOST_LOGGED} more` : ''
    log.warn(
      { blockedMs: Math.round(ms), computing: isBusy, events },
      `The event loop was blocked for ${Math.round(ms)} ms (sessionTimeout is ${sessionTimeoutMs} ms)${isBusy ? '' : ' while the process stood still'}. ${
        what.length === 0 ? 'No event was being handled.' : `At work: ${what.join(', ')}${more}.`
      }${isLost ? ' The group may have gone on without this worker.' : ''}`,
    )
    // A process that stood still was stopped from outside: its events have nothing to do with it.
    if (!isLost || !isBusy) return
    for (const event of blamed)
      for (const { cursor, topic, partition, offset } of event.batch()) {
        const subscription = cursor.subscription.spec.id
        const rounds = this.#roundsOf(event) + 1
        const isSure = blamed.length === 1 || rounds >= SURE_AFTER_ROUNDS
        this.#note({ subscription, topic, partition, offset, rounds, isSure, blockedMs: Math.round(ms) })
      }
  }

  /** What the group's leader knows of partitions that are here now. */
  learn(suspects: readonly Suspect[]): void {
    for (const suspect of suspects) {
      const known = this.#known.get(keyOf(suspect))
      if (known === undefined || suspect.rounds > known.rounds || (suspect.isSure && !known.isSure)) this.#note(suspect)
    }
  }

  /** For a join. `committed`: of partitions that are here; what is before it is done with. */
  report(committed: (partition: TopicPartition) => number | undefined): readonly Suspect[] {
    const fromMs = this.#environment.clock.monotonic() - KEPT_MS
    for (const [key, suspect] of this.#known)
      if (suspect.sinceMs < fromMs || suspect.offset < (committed(suspect) ?? 0)) this.#known.delete(key)
    return [...this.#known.values()].map(({ sinceMs: _, ...suspect }) => suspect)
  }

  /** Whether some event of these partitions may be the one, and others too. */
  isUnclear(partitions: readonly TopicPartition[]): boolean {
    if (this.#known.size === 0) return false
    const keys = new Set(partitions.map(partitionKey))
    return [...this.#known.values()].some((suspect) => !suspect.isSure && keys.has(partitionKey(suspect)))
  }

  /** Of a subscription and partition, from a committed position on; `undefined` when there is none. */
  from(subscription: string, source: TopicPartition, position: number): PartitionRefusals | undefined {
    const found = new Map<number, Refusal>()
    for (const suspect of this.#known.values())
      if (
        suspect.subscription === subscription &&
        partitionKey(suspect) === partitionKey(source) &&
        suspect.offset >= position
      )
        found.set(suspect.offset, {
          attempts: suspect.rounds,
          error: suspect.isSure ? blockedError(suspect) : undefined,
        })
    return found.size === 0 ? undefined : found
  }

  /** Of several those that were there most often. */
  #mostSuspect(events: readonly EventInFlight[]): readonly EventInFlight[] {
    const most = Math.max(0, ...events.map((event) => this.#roundsOf(event)))
    return events.filter((event) => this.#roundsOf(event) === most)
  }

  #roundsOf({ cursor, topic, partition, offset }: EventInFlight): number {
    return this.#known.get(keyOf({ subscription: cursor.subscription.spec.id, topic, partition, offset }))?.rounds ?? 0
  }

  #note(suspect: Suspect): void {
    const key = keyOf(suspect)
    this.#known.delete(key)
    this.#known.set(key, { ...suspect, sinceMs: this.#environment.clock.monotonic() })
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_SUSPECTS) return
      this.#known.delete(oldest)
    }
  }
}

function keyOf({
  subscription,
  offset,
  ...partition
}: Pick<Suspect, 'subscription' | 'topic' | 'partition' | 'offset'>): string {
  return `${subscription} ${partitionKey(partition)} ${offset}`
}

function blockedError({ topic, partition, offset, blockedMs }: Suspect): MillraceError {
  return new MillraceError(
    'EVENT_BLOCKED',
    `Handling ${topic}/${partition} at offset ${offset} has blocked the event loop for ${blockedMs} ms.`,
  )
}
