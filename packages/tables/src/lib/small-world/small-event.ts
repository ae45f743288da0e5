import {
  MillraceError,
  type Effect,
  type CurrentEvent,
  type Readable,
  type SendReceipt,
  type SendRequest,
} from '@millrace/core'
import type { SmallTask } from './small-task.ts'

const neverAborted = new AbortController().signal

/** An event for tests of this package: what the contract says of one, without a worker around it. */
export class SmallEvent implements CurrentEvent {
  readonly task: SmallTask
  readonly topic: string = 'source'
  readonly agent: string = 'agent'
  readonly keyCodec: string | undefined
  readonly offset: number
  readonly timestamp: number = 1000
  readonly signal: AbortSignal = neverAborted
  readonly sent: { readonly request: SendRequest; readonly receipt: SendReceipt }[] = []
  readonly batchLeader: CurrentEvent = this
  isDeferred = false
  holdsReads = false
  #open = true
  readonly #effects = new Set<Effect>()
  readonly #reads: (readonly [what: Readable, version: number])[] = []
  readonly #onSend: (request: SendRequest) => SendReceipt

  constructor(task: SmallTask, offset: number, keyCodec: string | undefined = 'string') {
    this.task = task
    this.offset = offset
    this.keyCodec = keyCodec
    this.#onSend = (request) => ({
      metadata: () => Promise.reject(new MillraceError('AWAIT_IN_EVENT', `${request.topic} is not sent.`)),
    })
  }

  get partition(): number {
    return this.task.partition
  }

  get open(): boolean {
    return this.#open
  }

  hold(effect: Effect): void {
    if (!this.#open) throw new MillraceError('NO_CURRENT_EVENT', 'The event is over.')
    if (this.#effects.has(effect)) throw new Error('An effect was held twice.')
    this.#effects.add(effect)
  }

  send(request: SendRequest): SendReceipt {
    const receipt = this.task.sending?.(request) ?? this.#onSend(request)
    this.sent.push({ request, receipt })
    return receipt
  }

  resolveConflict(holder: CurrentEvent, key: string): never {
    this.isDeferred = true
    this.#drop()
    throw new MillraceError('KEY_IN_HAND', `Key ${key} is held by the event at offset ${holder.offset}.`)
  }

  noteRead(what: Readable, version: number): void {
    this.#reads.push([what, version])
  }

  /** Something that it has read was changed since. */
  get isOutdated(): boolean {
    return this.#reads.some(([what, version]) => what.changedSince(version))
  }

  handBack(): void {
    this.isDeferred = true
    this.#drop()
  }

  finish(): void {
    this.#open = false
    for (const effect of this.#effects) effect.apply()
    this.#effects.clear()
  }

  /** Its task is lost; whoever works on it ends it later. */
  lose(): void {
    this.#open = false
  }

  end(): void {
    this.#drop()
  }

  fail(): void {
    this.#open = false
    this.#drop()
  }

  #drop(): void {
    for (const effect of this.#effects) effect.drop(this)
    this.#effects.clear()
  }
}
