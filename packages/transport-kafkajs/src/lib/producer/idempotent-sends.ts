import { MillraceError, type TopicPartition } from '@millrace/core'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import type { ClusterView } from '../cluster/cluster-view.ts'
import { checkCode, PassingError } from '../cluster/retrying.ts'
import { kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { initProducerIdRequest } from '../wire/requests/producers.ts'
import { BatchSequences, type BatchOwner } from './batch-sequences.ts'
import type { SendIdentity } from './send-identity.ts'

const LAST_EPOCH = 0x7fff
/** A broker that has run out of producer ids fetches more, and only a long wait for them is worth a warning. */
const NEW_IDS_WAIT_MS = 10
const QUIET_TRIES = 50

interface IdentityContext extends Pick<KafkaClientContext, 'clock'> {
  readonly view: Pick<ClusterView, 'ask'>
}

/** Sends outside of transactions, under a producer id that Kafka gives to this producer alone at its first send. */
export class IdempotentSends implements SendIdentity {
  readonly transactionalId = undefined
  readonly sequences: BatchSequences
  readonly #context: IdentityContext
  #owner: BatchOwner | undefined
  #asking: Promise<Error | undefined> | undefined

  constructor(context: IdentityContext) {
    this.#context = context
    this.sequences = new BatchSequences(
      () => this.#known(),
      (owner) => this.#following(owner),
    )
  }

  async prepare(_: readonly TopicPartition[], signal: AbortSignal): Promise<Error | undefined> {
    if (this.#owner !== undefined) return undefined
    this.#asking ??= this.#ask(signal).finally(() => (this.#asking = undefined))
    return this.#asking
  }

  fatal(): undefined {
    return undefined
  }

  async #ask(signal: AbortSignal): Promise<Error | undefined> {
    const { view, clock } = this.#context
    const request = initProducerIdRequest(null, 0)
    let answer = await view.ask(request)
    for (let tries = 1; answer.errorCode === KafkaCode.coordinatorLoadInProgress && tries < QUIET_TRIES; tries++) {
      await clock.sleep(NEW_IDS_WAIT_MS, signal)
      answer = await view.ask(request)
    }
    const { errorCode, producerId, epoch } = answer
    const refused = 'Kafka gave no producer id, and no record is sent without one.'
    // The right may be granted later, so the next send asks again.
    if (errorCode === KafkaCode.clusterAuthorizationFailed)
      return new MillraceError(
        'NOT_AUTHORIZED',
        `${refused} Kafka answered ${kafkaErrorName(errorCode)}. The user of the app needs the right Write on a topic that it sends to, or IdempotentWrite on the cluster.`,
      )
    checkCode(errorCode, refused)
    this.#owner = { id: producerId, epoch, transactional: false }
    return undefined
  }

  #known(): BatchOwner {
    if (this.#owner === undefined) throw new PassingError('There is no producer id.')
    return this.#owner
  }

  /** The next epoch is free, because no other producer has this id. */
  #following({ id, epoch }: BatchOwner): BatchOwner {
    if (epoch < LAST_EPOCH) return { id, epoch: epoch + 1, transactional: false }
    if (this.#owner?.id === id) this.#owner = undefined
    throw new PassingError(`The epochs of producer id ${id} are used up.`)
  }
}
