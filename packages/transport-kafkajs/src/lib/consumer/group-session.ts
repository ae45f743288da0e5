import { deferred, toError, type Deferred } from '@millrace/core'
import { isPassing, reasonOf } from '../cluster/retrying.ts'
import { isMembershipLost, isRetriable, KafkaCode, kafkaError, kafkaErrorName } from '../errors/kafka-errors.ts'
import { heartbeatRequest, type MemberGeneration } from '../wire/requests/groups.ts'
import { fencedInstance, type MemberContext } from './join-leave.ts'

/** Why a generation is over for this member. */
export type SessionEnd =
  /** The group rebalances: drain and join again. */
  | { readonly kind: 'rebalance' }
  /** The group has gone on without this member, as the coordinator said with this code. */
  | { readonly kind: 'lost'; readonly code: number }
  /** It will not recover. */
  | { readonly kind: 'failed'; readonly error: Error }

const REBALANCE = KafkaCode.rebalanceInProgress

/**
 * A member in one generation: heartbeats on a timer of their own, also while the member drains, until `stop`. The first
 * heartbeat that says so ends it; heartbeats continue after a rebalance was announced, because they still count.
 */
export class GroupSession {
  readonly membership: MemberGeneration
  readonly #context: MemberContext
  readonly #end: Deferred<SessionEnd> = deferred()
  readonly #lost: Deferred<SessionEnd> = deferred()
  readonly #stopping = new AbortController()
  #lastHeartbeatMs: number

  /** Counts as heard at `joinedMs`. */
  constructor(membership: MemberGeneration, joinedMs: number, context: MemberContext) {
    this.membership = membership
    this.#lastHeartbeatMs = joinedMs
    this.#context = context
    void this.#beat()
  }

  /** Resolves when the generation is over for this member, in whatever way. */
  get ended(): Promise<SessionEnd> {
    return this.#end.promise
  }

  /** Resolves only when membership is gone: what still matters while the member drains. */
  get lost(): Promise<SessionEnd> {
    return this.#lost.promise
  }

  /** Monotonic time at which the last heartbeat (or join) that succeeded was sent. */
  get lastHeartbeatMs(): number {
    return this.#lastHeartbeatMs
  }

  /** Asks for a rebalance from this side. */
  rejoin(): void {
    this.#end.resolve({ kind: 'rebalance' })
  }

  /** Ends the session for a code that a commit was answered with. */
  endFor(code: number): void {
    if (code === REBALANCE) this.#end.resolve({ kind: 'rebalance' })
    else if (code === KafkaCode.fencedInstanceId) this.#over({ kind: 'failed', error: fencedInstance(this.membership) })
    else if (isMembershipLost(code)) this.#over({ kind: 'lost', code })
    else
      this.#over({
        kind: 'failed',
        error: kafkaError(code, `Group "${this.membership.groupId}" refused the member.`, 'WORKER_FAILED', 'Read'),
      })
  }

  /** No more heartbeats. */
  stop(): void {
    this.#stopping.abort()
  }

  #over(end: SessionEnd): void {
    this.#end.resolve(end)
    this.#lost.resolve(end)
    this.stop()
  }

  async #beat(): Promise<void> {
    const { clock, reconnects, coordinator, options } = this.#context
    const intervalMs = options.heartbeatIntervalMs
    const signal = AbortSignal.any([this.#stopping.signal, this.#context.signal])
    const what = `heartbeat of group "${this.membership.groupId}"`
    try {
      await clock.sleep(intervalMs, signal)
      while (!signal.aborted) {
        const sentMs = clock.monotonic()
        const code = await this.#send()
        if (signal.aborted) return
        if (code === KafkaCode.ok || code === REBALANCE) {
          this.#lastHeartbeatMs = sentMs
          if (code === REBALANCE) this.#end.resolve({ kind: 'rebalance' })
          await clock.sleep(Math.max(0, intervalMs - (clock.monotonic() - sentMs)), signal)
        } else if (typeof code === 'string' || isRetriable(code)) {
          coordinator.forget()
          await reconnects.wait(
            what,
            typeof code === 'string' ? code : `Kafka answered ${kafkaErrorName(code)}.`,
            signal,
          )
        } else {
          return this.endFor(code)
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#over({ kind: 'failed', error: toError(error) })
    }
  }

  /** Gives the answer's code, or in words why there is none: the connection was lost, or the broker silent for a whole session. */
  async #send(): Promise<number | string> {
    const { clock, coordinator, options } = this.#context
    const limit = clock.schedule(options.sessionTimeoutMs, () => coordinator.drop())
    try {
      return await coordinator.send(heartbeatRequest(this.membership))
    } catch (error) {
      if (!isPassing(error)) throw error
      return reasonOf(error)
    } finally {
      limit.cancel()
    }
  }
}
