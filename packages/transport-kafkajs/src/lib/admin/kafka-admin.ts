import { type CommitOffset, MillraceError, partitionKey, type TopicPartition } from '@millrace/core'
import {
  type Admin,
  checkOffset,
  type CommittedOptions,
  type Isolation,
  type MemberInfo,
  type PartitionOffsets,
  type PartitionPosition,
  type SendOptions,
  type TopicInfo,
  type TopicSettings,
  type TopicSpec,
} from '@millrace/core/driver'
import type { TopicView } from '../cluster/cluster-view.ts'
import { CoordinatorLink } from '../cluster/coordinator.ts'
import { committedOffsets, areLed, offsetsAt, partitionOffsets } from '../cluster/offsets.ts'
import type { BrokerLinks } from '../cluster/broker-links.ts'
import type { KafkaClientContext } from '../cluster/client-context.ts'
import { checkCode, retrying } from '../cluster/retrying.ts'
import { requirePartition, toLeaders } from '../cluster/to-leaders.ts'
import { isMembershipLost, isRetriable, KafkaCode, type Right } from '../errors/kafka-errors.ts'
import {
  deleteRecordsRequest,
  describeConfigsRequest,
  deleteGroupRequest,
  describeGroupRequest,
  createTopicsRequest,
  deleteTopicsRequest,
  type TopicResult,
} from '../wire/requests/admin.ts'
import { offsetCommitRequest } from '../wire/requests/offsets.ts'
import { SETTING_NAMES, topicSettings } from './topic-settings.ts'

/** How long the controller may work on a request about topics before it must answer and is asked again. */
const TOPICS_TIMEOUT_MS = 10_000
/**
 * How long brokers may take until created topics have leaders and deleted ones are gone. Each partition costs a broker
 * several disk flushes, which may take a second each on a busy disk. Java clients wait as long.
 */
const APPLIED_TIMEOUT_MS = 60_000
/** How long the leader of a partition waits for its followers to delete the same records. */
const FOLLOWERS_TIMEOUT_MS = 2_000
const POLL_MS = 20

export class KafkaAdmin implements Admin {
  readonly #context: KafkaClientContext
  /** For requests that wait for followers. */
  readonly #links: BrokerLinks
  readonly #closing = new AbortController()

  constructor(context: KafkaClientContext) {
    this.#context = context
    this.#links = context.openLinks()
  }

  async topics(names?: readonly string[]): Promise<readonly TopicInfo[]> {
    const { view } = this.#context
    const found = await this.#retrying('topics could not be looked up', () => view.describe(names))
    return found.map(({ name, id, leaders }) => ({ name, id, partitions: leaders.length }))
  }

  async topicSettings(names: readonly string[]): Promise<readonly TopicSettings[]> {
    const { view } = this.#context
    return this.#retrying('settings of topics could not be looked up', async () => {
      // Only existing topics: if the app may not see everything, Kafka would report the others as denied.
      const replicas = new Map((await view.describe(names)).map((topic) => [topic.name, topic.replicas]))
      if (replicas.size === 0) return []
      const link = await view.anyLink()
      const described = await link.send(describeConfigsRequest([...replicas.keys()], SETTING_NAMES))
      return described.flatMap(({ topic, errorCode, config }) => {
        if (errorCode === KafkaCode.unknownTopicOrPartition) return []
        checkCode(
          errorCode,
          `The settings of topic "${topic}" could not be looked up.`,
          'TOPIC_INVALID',
          'DescribeConfigs',
        )
        return [topicSettings(topic, config, replicas.get(topic) ?? 1)]
      })
    })
  }

  async brokers(): Promise<number> {
    const { view } = this.#context
    await this.#retrying('the cluster could not be looked up', () => view.refresh())
    return view.brokers
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#closing.signal.throwIfAborted()
    if (specs.length === 0) return
    const { view } = this.#context
    const names = specs.map(({ name }) => name)
    await this.#retrying(`topics could not be created (${names.join(', ')})`, async () => {
      const link = await view.anyLink()
      const results = await link.send(createTopicsRequest(specs, TOPICS_TIMEOUT_MS))
      checkTopics(results, { done: KafkaCode.topicAlreadyExists, was: 'created', right: 'Create' })
    })
    view.want(names)
    await this.#until(
      () => `Topics ${names.join(', ')} were created, but could not be written to`,
      async () => {
        const topics = await this.#retrying('created topics could not be looked up', () => view.describe(names))
        if (topics.length < names.length || !topics.every(isLed)) return false
        const partitions = topics.flatMap(({ name, leaders }) =>
          leaders.map((_leader, partition) => ({ topic: name, partition })),
        )
        return areLed(this.#context, partitions)
      },
    )
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    this.#closing.signal.throwIfAborted()
    if (names.length === 0) return
    const { view } = this.#context
    await this.#retrying(`topics could not be deleted (${names.join(', ')})`, async () => {
      const link = await view.anyLink()
      const results = await link.send(deleteTopicsRequest(names, TOPICS_TIMEOUT_MS))
      checkTopics(results, { done: KafkaCode.unknownTopicOrPartition, was: 'deleted', right: 'Delete' })
    })
    await this.#until(
      () => `Topics ${names.join(', ')} were deleted, but are still there`,
      async () =>
        (await this.#retrying('deleted topics could not be looked up', () => view.describe(names))).length === 0,
    )
  }

  async offsets(partitions: readonly TopicPartition[], isolation: Isolation): Promise<readonly PartitionOffsets[]> {
    return partitionOffsets(this.#context, partitions, isolation, this.#closing.signal)
  }

  async offsetsAt(partitions: readonly TopicPartition[], timestampMs: number): Promise<readonly PartitionPosition[]> {
    return offsetsAt(this.#context, partitions, timestampMs, this.#closing.signal)
  }

  async deleteRecords(before: readonly PartitionPosition[], { guard }: SendOptions): Promise<void> {
    for (const { offset, ...partition } of before) checkOffset(partition, offset)
    const { view } = this.#context
    const topics = [...new Set(before.map(({ topic }) => topic))]
    const done = new Set<string>()
    await this.#retrying(`records of ${topics.join(', ')} could not be deleted`, async () => {
      await view.ensure(topics)
      const left = before.filter((position) => !done.has(partitionKey(position)))
      await toLeaders({ view, links: this.#links }, left, async (link, list) => {
        guard()
        for (const answer of await link.send(deleteRecordsRequest(list, FOLLOWERS_TIMEOUT_MS))) {
          // The leader has deleted the records; followers that are slow or away catch up by themselves.
          if (answer.errorCode !== KafkaCode.requestTimedOut)
            checkCode(
              answer.errorCode,
              `Records of ${answer.topic}/${answer.partition} could not be deleted.`,
              'TOPIC_INVALID',
              'Delete',
            )
          done.add(partitionKey(answer))
        }
      })
    })
  }

  async committed(
    groupId: string,
    partitions?: readonly TopicPartition[],
    { stable = false }: CommittedOptions = {},
  ): Promise<readonly CommitOffset[]> {
    return committedOffsets(this.#context, { groupId, partitions, stable }, this.#closing.signal)
  }

  async commit(groupId: string, offsets: readonly CommitOffset[]): Promise<void> {
    const { view } = this.#context
    const coordinator = this.#coordinator(groupId)
    await this.#retrying(`offsets of group "${groupId}" could not be committed`, async () => {
      await view.ensure([...new Set(offsets.map(({ topic }) => topic))])
      // Kafka would commit the offsets of the others.
      for (const partition of offsets) requirePartition(view, partition)
      const nobody = { groupId, generation: -1, memberId: '', instanceId: undefined }
      for (const { topic, partition, errorCode } of await coordinator.send(offsetCommitRequest(nobody, offsets))) {
        if (isMembershipLost(errorCode))
          throw new MillraceError(
            'GROUP_NOT_EMPTY',
            `Group "${groupId}" has members, and only they may commit its offsets.`,
          )
        coordinator.check(
          errorCode,
          `The offset of ${topic}/${partition} could not be committed in group "${groupId}".`,
        )
      }
    })
  }

  async members(groupId: string): Promise<readonly MemberInfo[]> {
    const coordinator = this.#coordinator(groupId)
    return this.#retrying(`group "${groupId}" could not be looked up`, async () => {
      const { errorCode, members } = await coordinator.send(describeGroupRequest(groupId))
      if (errorCode === KafkaCode.groupIdNotFound) return []
      coordinator.check(errorCode, `Group "${groupId}" could not be looked up.`, 'Describe')
      return members
    })
  }

  async deleteGroup(groupId: string): Promise<void> {
    const coordinator = this.#coordinator(groupId)
    await this.#retrying(`group "${groupId}" could not be deleted`, async () => {
      const errorCode = await coordinator.send(deleteGroupRequest(groupId))
      if (errorCode !== KafkaCode.groupIdNotFound)
        coordinator.check(errorCode, `Group "${groupId}" could not be deleted.`, 'Delete')
    })
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new MillraceError('CLOSED', 'The admin client is closed.'))
    this.#links.close()
    this.#context.onClosed(this)
  }

  #coordinator(groupId: string): CoordinatorLink {
    const { view, control } = this.#context
    return new CoordinatorLink('group', groupId, { view, links: control })
  }

  async #until(what: () => string, done: () => Promise<boolean>): Promise<void> {
    const { clock } = this.#context
    const deadline = clock.monotonic() + APPLIED_TIMEOUT_MS
    while (!(await done())) {
      if (clock.monotonic() > deadline) throw new MillraceError('TIMEOUT', `${what()} after ${APPLIED_TIMEOUT_MS} ms.`)
      await clock.sleep(POLL_MS, this.#closing.signal)
    }
  }

  /** Retries until it succeeds, and reports if the client is closed. */
  #retrying<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return retrying(this.#context.reconnects, what, this.#closing.signal, attempt)
  }
}

/** Checks permanent errors first. The others are retried together with topics that are done, which is harmless. */
function checkTopics(
  results: readonly TopicResult[],
  { done, was, right }: { readonly done: number; readonly was: string; readonly right: Right },
): void {
  const failed = results.filter(({ errorCode }) => errorCode !== KafkaCode.ok && errorCode !== done)
  const worst = failed.find(({ errorCode }) => !isRetriable(errorCode)) ?? failed[0]
  if (worst === undefined) return
  const said = worst.message === undefined ? '' : ` ${worst.message}`
  checkCode(worst.errorCode, `Topic "${worst.topic}" could not be ${was}.${said}`, 'TOPIC_INVALID', right)
}

function isLed({ leaders }: TopicView): boolean {
  return leaders.length > 0 && leaders.every((leader) => leader >= 0)
}
