import { isMillraceError, MillraceError, type WorkerContext } from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import { deadLetterTopic } from './dead-letter-topic.ts'
import { describeError, type LetterFacts, TEXT_LIMITS, writeLetterHeaders } from './letter-headers.ts'

export interface DeadLetterSender {
  readonly worker: WorkerContext
  readonly agent: string
  readonly error: Error
}

/**
 * Sends an event, or each of a batch, to the dead letters of its agent, as an effect of itself: in the partition of its
 * record, with its bytes, headers and timestamp.
 *
 * @throws `NO_CURRENT_EVENT` when the task was lost meanwhile; `RECORD_TOO_LARGE` when the record alone is
 */
export async function sendDeadLetters(first: Delivery, { worker, agent, error }: DeadLetterSender): Promise<void> {
  const topic = deadLetterTopic(worker.appId, agent)
  const partitions = await worker.partitions(topic)
  if (!first.open)
    throw new MillraceError(
      'NO_CURRENT_EVENT',
      `The event of agent "${agent}" was lost before its dead letter was sent.`,
    )
  const failure = { ...describeError(error), agent, failedAt: worker.clock.now() }
  for (const delivery of [first, ...first.joined]) {
    const { partition, offset, timestamp, attempts } = delivery
    const facts = { ...failure, topic: delivery.topic, partition, offset, timestamp, attempts: attempts + 1 }
    await sendOne(delivery, facts, { topic, partition: partition % partitions })
  }
}

async function sendOne(
  delivery: Delivery,
  facts: LetterFacts,
  place: { readonly topic: string; readonly partition: number },
): Promise<void> {
  const { rawKey: key, timestamp, rawHeaders } = delivery
  const value = delivery.original()
  let tooLarge: unknown
  for (const limits of TEXT_LIMITS) {
    try {
      return await delivery.send({
        ...place,
        key,
        value,
        headers: writeLetterHeaders(rawHeaders, facts, limits),
        timestamp,
      })
    } catch (thrown) {
      if (!isMillraceError(thrown, 'RECORD_TOO_LARGE')) throw thrown
      tooLarge = thrown
    }
  }
  throw tooLarge
}
