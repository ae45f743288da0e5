import type { CodecSpec, Effect, EventScope, RawHeaders, SendRequest } from '@millrace/core'
import type { AgentCounters } from '../agents/agent-counters.ts'
import type { Request } from '../asking/request.ts'

const ALONE: readonly Delivery[] = Object.freeze([])

/**
 * One event on its way through the steps of a stream and then in the hands of an agent: of a topic, or of a channel.
 * Ending it (`finish`, `retry`, `putBack`) counts once; a second call does nothing.
 */
export abstract class Delivery {
  /** As the steps have left it. */
  value: unknown = undefined
  /** As it was decoded; `undefined` where it cannot be. */
  cameAs: unknown = undefined
  /** A step has changed the value: the bytes no longer say the same. */
  changed = false
  /** After `noAck()`: only `event.ack()` finishes it. */
  manual = false
  /** Kept while it is in the user's hands under `noAck()`, to be given back if the handler fails. */
  loose: Set<Delivery> | undefined = undefined
  /** What `event.run(fn)` failed with: tells whose fault an error of the handler is. */
  failure: unknown = undefined
  /** What decoding its key or its value has failed with. */
  protected undecodable: unknown = undefined
  /** The other events of a `take()` batch, which share its fate. */
  joined: readonly Delivery[] = ALONE
  over = false
  /** Which of its values is on its way, where `flatMap` has given it several. */
  part = 0

  protected request: Request | undefined = undefined
  #owner: Delivery | undefined = undefined
  /** Values that are not done with; one that `flatMap` still takes values from counts too. */
  #values = 1
  /** Of its values, while there are several. */
  #done: Set<number> | undefined = undefined
  /** Its part that is the batch it stands for. */
  #batch: number | undefined = undefined
  #answered = false
  #yields = 0
  #lastYield: unknown = undefined
  readonly #counters: AgentCounters

  protected constructor(counters: AgentCounters, firstTime: boolean) {
    this.#counters = counters
    counters.active++
    if (firstTime) counters.received++
  }

  /** For the work scope; `undefined` for channels, which have no task. */
  abstract readonly event: EventScope | undefined
  abstract readonly topic: string
  abstract readonly partition: number
  abstract readonly offset: number
  abstract readonly timestamp: number
  abstract readonly rawKey: Buffer | null
  /** `undefined` when there are no bytes, in channels. */
  abstract readonly rawValue: Buffer | null | undefined
  abstract readonly rawHeaders: RawHeaders
  abstract readonly signal: AbortSignal
  abstract readonly attempts: number
  /** Why this attempt has failed already. */
  abstract readonly refused: Error | undefined
  abstract readonly isSetAside: boolean
  /** As `EventInHand.handBackIfOutdated`. */
  abstract handBackIfOutdated(): boolean
  /** As `EventInHand.describeReads`. */
  abstract describeReads(): readonly string[]
  /** Somebody waits for its end: it must not wait for others to come. */
  abstract readonly isWanted: boolean
  /** It was replayed for another agent that reads the same topic. */
  abstract readonly isForAnother: boolean
  /** What `take()` must not mix. */
  abstract readonly batchGroup: object
  /** False once it is over or its task lost. */
  abstract readonly open: boolean
  /** How the value is encoded; only the same spec may pass raw bytes on. */
  abstract readonly valueSpec: CodecSpec | undefined
  abstract key(): unknown
  /** Decodes the value; false for a tombstone that the agent passes over. */
  abstract decode(): boolean
  /** The value as it came, whatever the steps have made of it; a channel's as JSON. */
  abstract original(): Buffer | null
  /** As an effect of the event; from a channel, an acknowledged send to wait for. */
  abstract send(request: SendRequest): void | Promise<void>
  /** As an effect of the event; from a channel, at once. */
  abstract hold(effect: Effect): void

  /** False when it does not count: it was set aside, or its task is lost. */
  protected abstract end(): boolean
  protected abstract undo(error: Error): void
  protected abstract again(delayMs: number): void
  protected abstract giveBack(): void
  protected abstract unite(other: Delivery): void

  /** A further value of it is on its way: `flatMap`. */
  addValue(value: unknown): void {
    this.first.#values++
    this.part++
    this.value = value
    this.changed = true
  }

  /** One of its values is done with: the event is finished with the last. A second call for the same value does nothing. */
  valueDone(part: number = this.part): void {
    const { first } = this
    // Most events have one value.
    if (first.#values === 1 && this.#done === undefined) return first.finish()
    if (first.over || this.#done?.has(part) === true) return
    if (first.#values > 1) (this.#done ??= new Set()).add(part)
    first.#oneLess()
  }

  /** As the user says of a value; in a batch, of the whole batch. */
  ack(part: number): void {
    const { first } = this
    first.valueDone(first.#batch ?? part)
  }

  /** `flatMap` has given all its values. */
  allGiven(): void {
    this.first.#oneLess()
  }

  /** It has values that are on their way or still to be given. */
  get isPartial(): boolean {
    return !this.first.over && this.first.#values > 1
  }

  /** Of a batch the one that stands for all of it. */
  get first(): Delivery {
    return this.#owner ?? this
  }

  /** Everything it did counts, and so it is finished. */
  finish(): void {
    this.#finish('processed')
  }

  /** A tombstone is passed over. */
  passOver(): void {
    this.#finish('tombstones')
  }

  /** After `rollback()`: it counts as done, with nothing to show for it. */
  skip(): void {
    this.#finish('skipped')
  }

  /** After `rollback()` and the send of its dead letter, its only effect. */
  bury(): void {
    this.#finish('deadLettered')
  }

  /** Another agent handles it. */
  leaveToOther(): void {
    this.#finish('leftToOthers')
  }

  /** Effects are dropped; it stays in hand, or comes back as one that has failed with this error. */
  rollback(error: Error): void {
    if (!this.open) return
    this.undo(error)
    for (const member of [this, ...this.joined]) member.#answered = false
  }

  /** Handed out again after a while, counted as an attempt. */
  retry(delayMs: number): void {
    const first = this.#owner ?? this
    if (first.over) return
    first.#release()
    first.again(delayMs)
  }

  /** Handed out again at once, not counted. */
  putBack(): void {
    const first = this.#owner ?? this
    if (first.over) return
    const { open } = first
    first.#release()
    if (open && first.attempts === 0) this.#counters.received -= 1 + first.joined.length
    first.giveBack()
  }

  /** The others share this one's fate from here on. So many values, of all of them, have become one: the batch. */
  join(others: readonly Delivery[], values: number): void {
    this.#values += 1 - values
    for (const other of others) {
      this.#values += other.#values
      other.#owner = this
      this.unite(other)
    }
    if (others.length > 0) this.joined = [...this.joined, ...others]
    this.#batch = ++this.part
  }

  /** Whether `event.run(fn)` of it, or of another of its batch, failed with this error. */
  failedWith(error: unknown): boolean {
    return this.failure === error || this.joined.some((other) => other.failure === error)
  }

  /** Whether the error comes from decoding it, or another of its batch: trying again changes nothing. */
  isUndecodable(error: unknown): boolean {
    const members: readonly Delivery[] = [this, ...this.joined]
    return error !== undefined && members.some(({ undecodable }) => undecodable === error)
  }

  /** The agent has yielded: an answer to whoever asked. In a batch the nth yield answers its nth event. */
  reply(value: unknown): void {
    const member = this.#yields === 0 ? this : this.joined[this.#yields - 1]
    this.#yields++
    this.#lastYield = value
    if (member !== undefined) member.#answer(value)
  }

  /** The agent has failed on it for good: whoever asked is told at once. */
  async refuse(error: Error): Promise<void> {
    for (const member of [this, ...this.joined]) {
      if (member.request === undefined || member.#answered) continue
      member.#answered = true
      await member.request.refuse(error)
    }
  }

  /** Another event carries the request on: a repartition topic's. */
  passRequestOn(): void {
    this.request = undefined
  }

  #finish(kind: 'processed' | 'tombstones' | 'skipped' | 'deadLettered' | 'leftToOthers'): void {
    const first = this.#owner ?? this
    if (first.over) return
    // Before its end: an answer is an effect, and may be the first one that rests on what it has read.
    if (first.request !== undefined || first.joined !== ALONE) first.#closeRequests()
    first.#release()
    // Also when the task is lost: the worker then drops what the event did.
    if (first.end()) this.#counters[kind] += 1 + first.joined.length
  }

  #oneLess(): void {
    if (this.over) return
    if (this.#values > 1 && this.open && !this.isSetAside) this.#values--
    else this.finish()
  }

  #answer(value: unknown): void {
    if (this.request === undefined || this.#answered) return
    this.request.answer(value, this.event)
    this.#answered = true
  }

  #closeRequests(): void {
    if (!this.open || this.isSetAside) return
    if (this.request !== undefined && !this.#answered) this.#closeRequest()
    for (const member of this.joined) {
      if (member.request === undefined || member.#answered) continue
      // One yield for a whole batch is an answer to everybody in it.
      if (this.#yields === 1) member.#answer(this.#lastYield)
      else member.#closeRequest()
    }
  }

  #closeRequest(): void {
    this.#answered = true
    this.request?.close(this.event)
  }

  #release(): void {
    this.#drop()
    if (this.joined !== ALONE) for (const member of this.joined) member.#drop()
  }

  #drop(): void {
    this.over = true
    this.#counters.active--
    if (this.loose === undefined) return
    this.loose.delete(this)
    this.loose = undefined
  }
}
