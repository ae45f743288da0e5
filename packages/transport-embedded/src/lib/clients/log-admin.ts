import { randomUUID } from 'node:crypto'
import { type CommitOffset, MillraceError, type TopicPartition } from '@millrace/core'
import {
  type Admin,
  checkOffset,
  type Isolation,
  type MemberInfo,
  type PartitionOffsets,
  type PartitionPosition,
  type SendOptions,
  type TopicInfo,
  type TopicSettings,
  type TopicSpec,
} from '@millrace/core/driver'
import type { LogReads, StoredTopic } from '../log/log-backend.ts'
import { MAX_PARTITIONS, topicSettings } from '../log/topic-settings.ts'
import { offsetAt, partitionOffsets } from './offsets.ts'
import { Lifespan } from '../log/lifespan.ts'
import type { LogClientContext } from '../log/client-context.ts'

/** Topics and offsets of a local log. */
export class LogAdmin implements Admin {
  readonly #context: LogClientContext
  readonly #lifespan: Lifespan

  constructor(context: LogClientContext) {
    this.#context = context
    this.#lifespan = new Lifespan('admin', context.lifespan)
  }

  topics(names?: readonly string[]): Promise<readonly TopicInfo[]> {
    return this.#lifespan.run(async () =>
      this.#context.backend.read((log) =>
        (names === undefined ? log.topics() : names.flatMap((name) => log.topic(name) ?? [])).map(topicInfo),
      ),
    )
  }

  topicSettings(names: readonly string[]): Promise<readonly TopicSettings[]> {
    return this.#lifespan.run(async () =>
      this.#context.backend.read((log) => names.flatMap((name) => log.topic(name) ?? []).map(topicSettings)),
    )
  }

  brokers(): Promise<number> {
    return this.#lifespan.run(async () => 1)
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#lifespan.run(async () => {
      for (const spec of specs) checkTopic(spec)
      await this.#context.backend.write('records', (log) => {
        for (const { name, partitions, config } of specs) {
          if (log.topic(name) === undefined) log.putTopic({ name, id: randomUUID(), partitions, config })
        }
      })
    })
  }

  deleteTopics(names: readonly string[]): Promise<void> {
    return this.#lifespan.run(() =>
      this.#context.backend.write('records', (log) => {
        for (const name of names) {
          const topic = log.topic(name)
          if (topic !== undefined) log.dropTopic(topic)
        }
      }),
    )
  }

  offsets(partitions: readonly TopicPartition[], _isolation: Isolation): Promise<readonly PartitionOffsets[]> {
    return this.#lifespan.run(async () => partitionOffsets(this.#context.backend, partitions))
  }

  offsetsAt(partitions: readonly TopicPartition[], timestampMs: number): Promise<readonly PartitionPosition[]> {
    return this.#lifespan.run(async () => {
      const positions: PartitionPosition[] = []
      for (const bounds of partitionOffsets(this.#context.backend, partitions))
        positions.push(await offsetAt(this.#context.backend, bounds, timestampMs))
      return positions
    })
  }

  deleteRecords(before: readonly PartitionPosition[], { guard }: SendOptions): Promise<void> {
    return this.#lifespan.run(async () => {
      const { backend } = this.#context
      for (const { topic, partition, end } of partitionOffsets(backend, before)) {
        const position = before.find((each) => each.topic === topic && each.partition === partition)?.offset ?? 0
        checkOffset({ topic, partition }, position)
        if (position > end)
          throw new MillraceError(
            'OFFSET_OUT_OF_RANGE',
            `Topic "${topic}" partition ${partition} ends at offset ${end}: records before ${position} cannot be deleted.`,
          )
      }
      for (const { topic: name, partition, offset } of before) {
        for (let more = true; more;) {
          guard()
          more = await backend.write('quiet', (log) => {
            guard()
            const topic = log.topic(name)
            return topic !== undefined && log.deleteBefore(topic, partition, offset) < offset
          })
        }
      }
    })
  }

  committed(groupId: string, partitions?: readonly TopicPartition[]): Promise<readonly CommitOffset[]> {
    return this.#lifespan.run(async () =>
      this.#context.backend.read((log) =>
        partitions === undefined
          ? log.committed(groupId)
          : partitions.flatMap(({ topic, partition }) => log.committedOffset(groupId, topic, partition) ?? []),
      ),
    )
  }

  commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    return this.#lifespan.run(async () => {
      // Also throws for topics and partitions that do not exist.
      partitionOffsets(this.#context.backend, offsets)
      await this.#context.backend.write('groups', (log) => {
        this.#requireEmpty(log, groupId)
        for (const offset of offsets) log.putCommitted(groupId, offset)
      })
    })
  }

  members(groupId: string): Promise<readonly MemberInfo[]> {
    return this.#lifespan.run(async () => this.#context.backend.read((log) => this.#alive(log, groupId)))
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#lifespan.run(() =>
      this.#context.backend.write('groups', (log) => {
        this.#requireEmpty(log, groupId)
        log.dropGroup(groupId)
      }),
    )
  }

  async close(): Promise<void> {
    this.#lifespan.close()
    this.#context.ended(this)
  }

  kill(): void {
    this.#lifespan.kill()
  }

  #requireEmpty(log: LogReads, groupId: string): void {
    const [member] = this.#alive(log, groupId)
    if (member === undefined) return
    throw new MillraceError(
      'GROUP_NOT_EMPTY',
      `Group "${groupId}" has members: ${member.id} on ${member.host}, for one.`,
    )
  }

  /** Members of processes that were killed do not count here, because there may be no process left to remove them. */
  #alive(log: LogReads, groupId: string): readonly MemberInfo[] {
    const { isHostDead = () => false } = this.#context
    return [...log.group(groupId).members].flatMap(([id, { instanceId, host }]) =>
      isHostDead(host) ? [] : [{ id, instanceId, host }],
    )
  }
}

/** A topic in the form of the contract. */
export function topicInfo({ name, partitions, id }: StoredTopic): TopicInfo {
  return { name, partitions, id }
}

const CLEANUP_POLICIES = ['delete', 'compact', 'compact,delete', 'delete,compact']

/** Throws `TOPIC_INVALID` for a topic that Kafka would refuse too. */
export function checkTopic({ name, partitions, config }: TopicSpec): void {
  const invalid = (why: string): MillraceError => new MillraceError('TOPIC_INVALID', `Topic "${name}": ${why}.`)
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') {
    throw invalid('a name has 1 to 249 letters, digits, dots, dashes and underscores')
  }
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw invalid(`the partition count must be 1 to ${MAX_PARTITIONS}, not ${partitions}`)
  }
  const policy = config['cleanup.policy']
  if (policy !== undefined && !CLEANUP_POLICIES.includes(policy))
    throw invalid(`cleanup.policy "${policy}" is not known`)
  for (const setting of ['max.message.bytes', 'retention.ms', 'delete.retention.ms']) {
    const value = config[setting]
    if (value !== undefined && !/^-?\d+$/.test(value))
      throw invalid(`${setting} must be a whole number, not "${value}"`)
  }
}
