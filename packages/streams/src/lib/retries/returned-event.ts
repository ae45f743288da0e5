import type { RawRecord } from '@millrace/core'
import type { CurrentEvent, HandedOutEvent, SendReceipt, SendRequest } from '@millrace/worker'
import type { InFlight } from '../events/in-flight.ts'
import { type WaitingEvent, waitingIn, type WaitingRecord } from './waiting-event.ts'

/** An event that has waited and is handed out again, with the place and the attempts that it had before. */
export class ReturnedEvent implements InFlight {
  readonly record: RawRecord
  readonly #event: HandedOutEvent
  readonly #waiting: WaitingEvent

  /** `record`: of the event as its topic has it. */
  constructor(event: HandedOutEvent, { waiting }: WaitingRecord, record: RawRecord) {
    this.record = record
    this.#event = event
    this.#waiting = waiting
  }

  get topic(): string {
    return this.#waiting.topic
  }

  get partition(): number {
    return this.#waiting.partition
  }

  get offset(): number {
    return this.#waiting.offset
  }

  get timestamp(): number {
    return this.#waiting.timestamp
  }

  get attempts(): number {
    return this.#waiting.attempts + this.#event.attempts
  }

  get task(): object {
    return this.#event.task
  }

  get open(): boolean {
    return this.#event.open
  }

  get signal(): AbortSignal {
    return this.#event.signal
  }

  get refused(): Error | undefined {
    return this.#event.refused
  }

  get isDeferred(): boolean {
    return this.#event.isDeferred
  }

  get isWanted(): boolean {
    return this.#event.isWanted
  }

  deferIfOutdated(): boolean {
    return this.#event.deferIfOutdated()
  }

  describeReads(): readonly string[] {
    return this.#event.describeReads()
  }

  changedRows(): ReadonlyMap<string, number> {
    return this.#event.changedRows()
  }

  hold(...args: Parameters<HandedOutEvent['hold']>): void {
    this.#event.hold(...args)
  }

  send(request: SendRequest): SendReceipt {
    return this.#event.send(request)
  }

  finish(): boolean {
    return this.#event.finish()
  }

  rollback(error?: Error): void {
    this.#event.rollback(error)
  }

  retry(delayMs: number): void {
    this.#event.retry(delayMs)
  }

  requeue(): void {
    this.#event.requeue()
  }

  handedOn(): void {
    this.#event.handedOn()
  }

  join(other: InFlight): void {
    if (other instanceof ReturnedEvent) this.#event.join(other.#event)
  }
}

/** Where the current event comes from: the place in its topic, also of an event that has waited. */
export function placeOf(event: CurrentEvent): Pick<CurrentEvent, 'topic' | 'partition' | 'offset'> {
  return waitingIn(event.record)?.waiting ?? event
}
