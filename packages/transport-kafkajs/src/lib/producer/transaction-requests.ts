import { partitionKey, type TopicPartition } from '@millrace/core'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { retrying } from '../cluster/retrying.ts'
import { endsTransactions, kafkaError, KafkaCode, type Right } from '../errors/kafka-errors.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import type { KafkaProducer } from './kafka-producer.ts'

/** The wait while the coordinator still writes the markers of the previous transaction. */
const CONCURRENT_WAIT_MS = 5
/** After this many of those waits a warning is logged. */
const QUIET_TRIES = 400

/** Advice about permanent error codes, appended to a message. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [12, ' The setting offset.metadata.max.bytes of the broker must be 4096 or more.'],
  [28, ' The offsets of one commit do not fit into a record of __consumer_offsets (message.max.bytes of the broker).'],
  [31, ' The user of the app needs the right IdempotentWrite on the cluster.'],
  [50, ' Setting transactionTimeout is longer than transaction.max.timeout.ms of the broker.'],
])

/** An error in an answer, and the partition that it concerns. */
interface ErrorAnswer extends Partial<TopicPartition> {
  readonly errorCode: number
}

export function byCode(errorCode: number): ErrorAnswer {
  return { errorCode }
}

export function isRefused({ errorCode }: ErrorAnswer): boolean {
  return errorCode !== KafkaCode.ok
}

export function isMissing({ errorCode }: ErrorAnswer): boolean {
  return errorCode === KafkaCode.unknownTopicOrPartition
}

/**
 * The receiver of a request, if it is not the coordinator of the transaction, and the right on a topic or group that it
 * needs.
 */
interface RequestTarget {
  readonly coordinator?: CoordinatorLink
  readonly right?: Right
}

/** The requests of a transaction to the coordinators of its transactional id and of its groups. */
export class TransactionRequests {
  readonly #id: string
  readonly #context: KafkaClientContext
  readonly #producer: Pick<KafkaProducer, 'links' | 'signal'>
  readonly #coordinator: CoordinatorLink
  readonly #groups = new Map<string, CoordinatorLink>()

  constructor(id: string, context: KafkaClientContext, producer: Pick<KafkaProducer, 'links' | 'signal'>) {
    this.#id = id
    this.#context = context
    this.#producer = producer
    this.#coordinator = new CoordinatorLink('transaction', id, { view: context.view, links: producer.links })
  }

  /**
   * Repeats a request until it succeeds, because the coordinator may move, load, or still be busy with the previous
   * transaction.
   */
  ask<T>(
    what: string,
    request: WireRequest<T>,
    refusalIn: (answer: T) => ErrorAnswer | undefined,
    { coordinator = this.#coordinator, right = 'Write' }: RequestTarget = {},
  ): Promise<T> {
    const { signal } = this.#producer
    return retrying(this.#context.reconnects, `${what} ("${this.#id}")`, signal, async () => {
      for (let tries = 1; ; tries++) {
        const answer = await coordinator.send(request)
        const refusal = refusalIn(answer)
        if (refusal === undefined || !isRefused(refusal)) return answer
        const { errorCode, topic, partition = 0 } = refusal
        if (errorCode === KafkaCode.concurrentTransactions && tries < QUIET_TRIES) {
          await this.#context.clock.sleep(CONCURRENT_WAIT_MS, signal)
          continue
        }
        const fatal = this.fatal(errorCode)
        if (fatal !== undefined) throw fatal
        const said = topic === undefined ? what : `${what} (${partitionKey({ topic, partition })})`
        const advice = ADVICE.get(errorCode) ?? ''
        coordinator.check(errorCode, `Transactional id "${this.#id}": ${said}.${advice}`, right)
      }
    })
  }

  /** The error with which the producer ends, if the code is one that ends it. */
  fatal(code: number): Error | undefined {
    return endsTransactions(code)
      ? kafkaError(code, `Transactional id "${this.#id}" cannot go on.`, 'TRANSACTION_STATE')
      : undefined
  }

  /** The coordinator of a group whose offsets are in the transaction. */
  group(groupId: string): CoordinatorLink {
    let group = this.#groups.get(groupId)
    if (group === undefined) {
      group = new CoordinatorLink('group', groupId, { view: this.#context.view, links: this.#producer.links })
      this.#groups.set(groupId, group)
    }
    return group
  }
}
