import { deferred, toError, type Deferred } from '@millrace/core'
import { isPassing, reasonOf } from '../cluster/retrying.ts'
import { isMembershipLost, isRetriable, KafkaCode, kafkaError, kafkaErrorName } from '../errors/kafka-errors.ts'
import { heartbeatRequest, type MemberGeneration } from '../wire/requests/groups.ts'
import { fencedInstance, type MemberContext } from './join-leave.ts'

/** Why a generation is over for this member. */
export type SessionEnd =
  /** The group rebalances: drain and join again. */
  | { readonly kind: 'rebalance' }
  /** The group has gone on without this member; the coordinator answered with this code. */
  | { readonly kind: 'lost'; readonly code: number }
  /** The session cannot recover. */
  | { readonly kind: 'failed'; readonly error: Error }

const REBALANCE = KafkaCode.rebalanceInProgress

/**
 * A member in one generation. Heartbeats run on their own timer, also while the member drains, until `stop`. The first
 * heartbeat answer that ends the generation ends the session; after a rebalance was announced heartbeats continue,
 * because they still count.
 */
export class GroupSession {
  readonly membership: MemberGeneration
  readonly #context: MemberContext
  readonly #end: Deferred<SessionEnd> = deferred()
  readonly #lost: Deferred<SessionEnd> = deferred()
  readonly #stopping = new AbortController()
  #lastHeartbeatMs: number

  /** Joining at `joinedMs` counts as the first heartbeat. */
  constructor(membership: MemberGeneration, joinedMs: number, context: MemberContext) {
    this.membership = membership
    this.#lastHeartbeatMs = joinedMs
    this.#context = context
    void this.#beat()
  }

  /** Resolves when the generation is over for this member, for any reason. */
  get ended(): Promise<SessionEnd> {
    return this.#end.promise
  }

  /** Resolves only when membership is gone, which still matters while the member drains. */
  get lost(): Promise<SessionEnd> {
    return this.#lost.promise
  }

  /** Monotonic time at which the last heartbeat (or join) that succeeded was sent. */
  get lastHeartbeatMs(): number {
    return this.#lastHeartbeatMs
  }

  /** Requests a rebalance. */
  rejoin(): void {
    this.#end.resolve({ kind: 'rebalance' })
  }

  /** Ends the session because a commit was answered with this code. */
  endFor(code: number): void {
    if (code === KafkaCode.fencedInstanceId) this.#over({ kind: 'failed', error: fencedInstance(this.membership) })
    else if (isMembershipLost(code)) this.#over({ kind: 'lost', code })
    else
      this.#over({
        kind: 'failed',
        error: kafkaError(code, `Group "${this.membership.groupId}" refused the member.`, 'WORKER_FAILED', 'Read'),
      })
  }

  /** Stops heartbeats. */
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

  /**
   * Returns the code of the answer, or says why there is none: the connection was lost, or the broker was silent for a
   * whole session.
   */
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
