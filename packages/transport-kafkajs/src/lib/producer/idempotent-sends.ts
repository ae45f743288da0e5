import { MillraceError } from '@millrace/core'
import type { ClusterView } from '../cluster/cluster-view.ts'
import { checkCode, PassingError } from '../cluster/retrying.ts'
import { kafkaErrorName, KafkaCode } from '../errors/kafka-errors.ts'
import { initProducerIdRequest } from '../wire/requests/producers.ts'
import { BatchSequences, type BatchOwner } from './batch-sequences.ts'
import type { SendIdentity } from './send-identity.ts'

const LAST_EPOCH = 0x7fff

/** Outside of transactions: under a producer id that Kafka gives to this producer alone, when it first sends. */
export class IdempotentSends implements SendIdentity {
  readonly transactionalId = undefined
  readonly sequences: BatchSequences
  readonly #view: Pick<ClusterView, 'ask'>
  #owner: BatchOwner | undefined
  #asking: Promise<Error | undefined> | undefined

  constructor(view: Pick<ClusterView, 'ask'>) {
    this.#view = view
    this.sequences = new BatchSequences(
      () => this.#known(),
      (owner) => this.#following(owner),
    )
  }

  async prepare(): Promise<Error | undefined> {
    if (this.#owner !== undefined) return undefined
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  fatal(): undefined {
    return undefined
  }

  async #ask(): Promise<Error | undefined> {
    const { errorCode, producerId, epoch } = await this.#view.ask(initProducerIdRequest(null, 0))
    const refused = 'Kafka gave no producer id, and no record is sent without one.'
    // The right may be given later: the next send asks again.
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

  /** The next epoch is free: nobody else has this producer id. */
  #following({ id, epoch }: BatchOwner): BatchOwner {
    if (epoch < LAST_EPOCH) return { id, epoch: epoch + 1, transactional: false }
    if (this.#owner?.id === id) this.#owner = undefined
    throw new PassingError(`The epochs of producer id ${id} are used up.`)
  }
}
