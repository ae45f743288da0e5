import { eventually } from '@millrace/conformance'
import { Kafka, logLevel } from 'kafkajs'

const REPLICAS = 3
/** As in the properties of brokers for tests. */
const INTERNAL_PARTITIONS = 8

/** What the tests of a cluster need to see and do, with a plain client, apart from what is tested. */
export class ClusterEyes {
  readonly #admin: ReturnType<Kafka['admin']>

  constructor(brokers: readonly string[]) {
    this.#admin = new Kafka({ clientId: 'eyes', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  }

  async open(): Promise<void> {
    await this.#admin.connect()
  }

  async close(): Promise<void> {
    await this.#admin.disconnect()
  }

  /** Number of the node that leads a partition, counted from 1. */
  async leaderOf(topic: string, partition: number): Promise<number> {
    const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
    const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)
    if (found === undefined) throw new Error(`There is no partition ${topic}/${partition}.`)
    return found.leader
  }

  /** The node that keeps a group. */
  coordinatorOf(groupId: string): Promise<number> {
    return this.leaderOf('__consumer_offsets', placeOf(groupId))
  }

  /** The node that keeps a transactional id. */
  transactionCoordinatorOf(transactionalId: string): Promise<number> {
    return this.leaderOf('__transaction_state', placeOf(transactionalId))
  }

  /** Every replica of every partition is in sync: any one node may be lost. */
  async untilWhole(): Promise<void> {
    await eventually(
      async () => {
        const { topics } = await this.#admin.fetchTopicMetadata()
        return topics.every(({ partitions }) =>
          partitions.every(({ isr, leader }) => leader > 0 && isr.length === REPLICAS),
        )
      },
      { what: 'all replicas to be in sync', limitMs: 60_000 },
    )
  }

  /** As retention does. */
  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    // Makes kafkajs look at the topic, without which it deletes nothing.
    await this.#admin.fetchTopicOffsets(topic)
    await this.#admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
  }

  async raisePartitions(topic: string, count: number): Promise<void> {
    await this.#admin.createPartitions({ topicPartitions: [{ topic, count }] })
  }
}

/** The partition of an internal topic that keeps an id, as Kafka works it out: Java's hash of the text. */
function placeOf(id: string): number {
  let hash = 0
  for (let i = 0; i < id.length; i++) hash = (Math.imul(hash, 31) + id.charCodeAt(i)) | 0
  return (hash & 0x7fffffff) % INTERNAL_PARTITIONS
}
