import {
  type Effect,
  type EventInHand,
  type EventScope,
  MillraceError,
  type RawRecord,
  type RecordMetadata,
  type SendReceipt,
  type SendRequest,
  type Task,
} from '@millrace/core'

/** What an event of the memory worker tells its feed. */
export interface MemoryEventHome {
  readonly agent: string
  readonly keyCodec: string | undefined
  readonly task: Task
  readonly topic: string
  readonly partition: number
  readonly signal: AbortSignal
  send(request: SendRequest): RecordMetadata
  finished(event: MemoryEvent): void
  again(event: MemoryEvent, delayMs: number, attempts: number): void
}

/** The contract of `EventInHand`, kept in the simplest way. */
export class MemoryEvent implements EventInHand {
  readonly record: RawRecord
  readonly attempts: number
  readonly home: MemoryEventHome
  open = true
  isSetAside = false
  readonly #effects: Effect[] = []
  readonly #joined: EventInHand[] = []

  constructor(home: MemoryEventHome, record: RawRecord, attempts: number) {
    this.home = home
    this.record = record
    this.attempts = attempts
  }

  get task(): Task {
    return this.home.task
  }

  get agent(): string {
    return this.home.agent
  }

  get keyCodec(): string | undefined {
    return this.home.keyCodec
  }

  get topic(): string {
    return this.home.topic
  }

  get partition(): number {
    return this.home.partition
  }

  get offset(): number {
    return this.record.offset
  }

  get timestamp(): number {
    return this.record.timestamp
  }

  get signal(): AbortSignal {
    return this.home.signal
  }

  hold(effect: Effect): void {
    this.#assertOpen()
    this.#effects.push(effect)
  }

  send(request: SendRequest): SendReceipt {
    this.#assertOpen()
    let metadata: RecordMetadata | undefined
    this.#effects.push({
      apply: () => {
        metadata = this.home.send(request)
      },
      drop: () => {},
    })
    return {
      metadata: () => (metadata === undefined ? Promise.reject(new MillraceError('AWAIT_IN_EVENT', request.topic)) : Promise.resolve(metadata)),
    }
  }

  setAside(holder: EventScope, key: string): never {
    this.#assertOpen()
    this.isSetAside = true
    throw new MillraceError('KEY_IN_HAND', `Key ${key} is in hand of offset ${holder.offset}.`)
  }

  finish(): void {
    this.#assertOpen()
    this.open = false
    if (this.isSetAside) return this.#back(0, this.attempts)
    for (const effect of this.#effects.splice(0)) effect.apply()
    this.home.finished(this)
    for (const other of this.#joined) other.finish()
  }

  rollback(): void {
    this.#assertOpen()
    for (const effect of this.#effects.splice(0)) effect.drop()
    for (const other of this.#joined) other.rollback()
  }

  retry(delayMs: number): void {
    this.#assertOpen()
    for (const other of [...this.#joined].reverse()) other.retry(delayMs)
    this.#back(delayMs, this.attempts + 1)
  }

  putBack(): void {
    this.#assertOpen()
    for (const other of [...this.#joined].reverse()) other.putBack()
    this.#back(0, this.attempts)
  }

  join(other: EventInHand): void {
    this.#assertOpen()
    if (other.task !== this.task) throw new MillraceError('DEFINITION_INVALID', 'Two tasks.')
    this.#joined.push(other)
  }

  /** The task is lost. */
  lose(): void {
    this.open = false
  }

  #back(delayMs: number, attempts: number): void {
    this.open = false
    for (const effect of this.#effects.splice(0)) effect.drop()
    this.home.again(this, delayMs, attempts)
  }

  #assertOpen(): void {
    if (!this.open) throw new MillraceError('NO_CURRENT_EVENT', `Offset ${this.offset} of ${this.topic} is over.`)
  }
}
