import { isMillraceError, MillraceError, type Scheduled, toError } from '@millrace/core'
import type { Admin, TopicInfo, TopicSettings } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { DeclaredTopology } from './declared-topology.ts'
import { checkCoPartition } from './co-partition.ts'
import { judgeChangelog } from './judge-changelog.ts'
import { planTopics } from './plan-topics.ts'
import { topicsToCreate } from './provide-topics.ts'
import { type TimeCarrier, timeCarriers } from './time-carriers.ts'

/** How often source and changelog topics are checked. */
const CHECK_INTERVAL_MS = 30_000
/**
 * Brokers learn of changes one after the other, so a fault that would end the worker must be found in this many checks,
 * this far apart.
 */
const CHECKS = 5
const CHECK_AGAIN_MS = 500

/** The topics and states of the tasks of one partition count, as one member knows them. */
export interface TaskTopology {
  readonly topics: readonly string[]
  /** Names of tables and stateful operators. */
  readonly parts: readonly string[]
  /** The number of warm copies of each task: the most that any of its tables wants. */
  readonly standbys?: number | undefined
}

/** The topics of the app as they are on the broker. */
export class TopicDirectory {
  readonly #environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'log' | 'settings'>
  readonly #admin: Admin
  readonly #topics = new Map<string, TopicInfo>()
  readonly #states = new Map<StateDefinition, number>()
  readonly #settings = new Map<string, TopicSettings>()
  readonly #groups = new Map<number, TaskTopology>()
  #sources: ReadonlySet<string> = new Set()
  #purged: ReadonlySet<string> = new Set()
  #timer: Scheduled | undefined
  #carriers: readonly TimeCarrier[] = []
  #closed = false

  constructor(environment: Pick<WorkerEnvironment, 'appId' | 'clock' | 'log' | 'settings'>, admin: Admin) {
    this.#environment = environment
    this.#admin = admin
  }

  /** Topics that the group reads. */
  get sources(): readonly string[] {
    return [...this.#sources]
  }

  /** Those among them whose committed records are deleted. */
  get purged(): ReadonlySet<string> {
    return this.#purged
  }

  /** The topics and states that belong together, by partition count. */
  get groups(): ReadonlyMap<number, TaskTopology> {
    return this.#groups
  }

  /** The repartition topics through which event time goes. */
  get carriers(): readonly TimeCarrier[] {
    return this.#carriers
  }

  /** Partition count of a declared topic. */
  partitions(topic: string): number | undefined {
    return this.#topics.get(topic)?.partitions
  }

  /** Partition count of a topic that the group reads. */
  partitionsOfSource(topic: string): number | undefined {
    return this.#sources.has(topic) ? this.partitions(topic) : undefined
  }

  partitionsOf(state: StateDefinition): number | undefined {
    return this.#states.get(state)
  }

  /** Parts with this partition count. */
  statesWith(partitions: number): readonly StateDefinition[] {
    return [...this.#states].filter(([, count]) => count === partitions).map(([state]) => state)
  }

  /** The number of warm copies of a state. */
  copiesOf(state: StateDefinition): number {
    return state.standbys ?? this.#environment.settings.standbys
  }

  changelogId(state: StateDefinition): string {
    return this.#topics.get(state.changelog.topic)?.id ?? state.changelog.topic
  }

  /** Settings of a state's changelog: those of the broker as far as they are known, otherwise those declared. */
  changelogConfig({ changelog }: StateDefinition): Readonly<Record<string, string>> {
    const found = this.#settings.get(changelog.topic)
    return found === undefined
      ? changelog.config
      : { ...changelog.config, 'delete.retention.ms': String(found.tombstoneMs) }
  }

  /** Creates missing topics and works out which belong together. Throws if that is contradictory. */
  async resolve(topology: DeclaredTopology): Promise<void> {
    for (let check = 1; ; check++) {
      try {
        return await this.#resolveOnce(topology)
      } catch (thrown) {
        if (check === CHECKS || this.#closed || !isMillraceError(thrown, 'TOPIC_MISSING')) throw thrown
        await this.#environment.clock.sleep(CHECK_AGAIN_MS)
      }
    }
  }

  async #resolveOnce(topology: DeclaredTopology): Promise<void> {
    const { appId, log, settings } = this.#environment
    const { topicPartitions, replicationFactor } = settings
    const admin = this.#admin
    this.#sources = new Set(topology.subscriptions.flatMap(({ topics }) => topics).toSorted())
    this.#purged = new Set([...topology.topics.values()].flatMap(({ name, purge }) => (purge === true ? [name] : [])))
    const names = [
      ...new Set([
        ...topology.topics.keys(),
        ...this.#sources,
        ...topology.states.map(({ changelog }) => changelog.topic),
      ]),
    ]
    const existing = await admin.topics(names)
    const { create, topics, states, differing } = planTopics({
      appId,
      topics: topology.topics,
      subscriptions: topology.subscriptions,
      states: topology.states,
      existing: new Map(existing.map(({ name, partitions }) => [name, partitions])),
      topicPartitions,
      replicationFactor,
      mayCreate: settings.topics.create,
    })
    const { subscriptions, reading, orders } = topology
    checkCoPartition({ subscriptions, reading, pairs: orders.pairs, topics, states })
    if (!settings.topics.create && create.length > 0) throw topicsToCreate(create)
    for (const { topic, declared, existing: found } of differing)
      log.warn(
        { topic, declared, existing: found },
        `Topic ${topic} is declared with ${declared} partitions and has ${found}; it is left unchanged.`,
      )
    if (create.length > 0) {
      await admin.createTopics(create)
      log.info({ topics: create.map(({ name, partitions }) => `${name} (${partitions})`) }, 'Topics were created.')
    }
    // Two workers that start together may have wanted different counts; the broker's count applies.
    for (const info of create.length > 0 ? await admin.topics(names) : existing) {
      this.#topics.set(info.name, info)
      const planned = topics.get(info.name)
      if (planned !== undefined && planned !== info.partitions) return this.resolve(topology)
    }
    const unseen = create.find(({ name }) => !this.#topics.has(name))
    if (unseen !== undefined)
      throw new MillraceError('TOPIC_MISSING', `Topic ${unseen.name} was created, but the broker does not list it.`)
    for (const [state, partitions] of states) this.#states.set(state, partitions)
    this.#carriers = timeCarriers({ declarations: topology.topics.values(), subscriptions, topics, states })
    this.#group()
    await this.#judgeChangelogs()
  }

  /** Throws `CHANGELOG_LOSES_ROWS` before anything is handled. */
  async #judgeChangelogs(): Promise<void> {
    const { log } = this.#environment
    const names = [...this.#states.keys()].map(({ changelog }) => changelog.topic)
    if (names.length === 0) return
    try {
      for (const settings of await this.#admin.topicSettings(names)) this.#settings.set(settings.name, settings)
    } catch (error) {
      if (!isMillraceError(error, 'NOT_AUTHORIZED')) throw error
      log.warn(
        { topics: names, reason: error.detail },
        'The app could not check whether its changelogs are compacted: it lacks the right DescribeConfigs on them.',
      )
    }
    for (const state of this.#states.keys()) {
      const settings = this.#settings.get(state.changelog.topic)
      const fault = settings === undefined ? undefined : judgeChangelog(state, settings)
      if (fault?.kind === 'loses rows') throw fault.error
      if (fault?.kind === 'grows') log.warn({ table: state.name, topic: state.changelog.topic }, fault.message)
    }
  }

  /** Checks the topics periodically. `onChange` is called once, with the first fault. */
  watch(onChange: (error: Error) => void): void {
    if (this.#closed) return
    this.#timer = this.#environment.clock.schedule(CHECK_INTERVAL_MS, () => {
      void this.#check().then(
        (error) => (error === undefined ? this.watch(onChange) : onChange(error)),
        (thrown: unknown) => {
          // Debug only: if the broker is gone for a while, other parts of the transport report it.
          this.#environment.log.debug({ error: toError(thrown).message }, 'The topics could not be checked.')
          this.watch(onChange)
        },
      )
    })
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /** A fault that every check has found. */
  async #check(): Promise<Error | undefined> {
    let error = await this.#checkOnce()
    for (let check = 2; error !== undefined && check <= CHECKS; check++) {
      this.#environment.log.warn({ error: error.message }, 'A topic seems to have changed; it is checked again.')
      await this.#environment.clock.sleep(CHECK_AGAIN_MS)
      if (this.#closed) return undefined
      error = await this.#checkOnce()
    }
    return error
  }

  async #checkOnce(): Promise<Error | undefined> {
    const watched = [...this.#sources, ...[...this.#states.keys()].map(({ changelog }) => changelog.topic)]
    const found = new Map((await this.#admin.topics(watched)).map((info) => [info.name, info]))
    if (this.#closed) return undefined
    for (const name of watched) {
      const before = this.#topics.get(name)
      const now = found.get(name)
      if (before === undefined) continue
      if (now === undefined) return this.#gone(name, 'was deleted while the worker used it')
      if (now.partitions !== before.partitions)
        return new MillraceError(
          'PARTITIONS_CHANGED',
          `Topic ${name} had ${before.partitions} partitions and now has ${now.partitions}.`,
        )
      if (now.id !== before.id) return this.#gone(name, 'was deleted and created again while the worker used it')
    }
    return undefined
  }

  #gone(name: string, how: string): MillraceError {
    const state = [...this.#states.keys()].find(({ changelog }) => changelog.topic === name)
    return state === undefined
      ? new MillraceError('TOPIC_MISSING', `Topic ${name} ${how}.`)
      : new MillraceError('CHANGELOG_MISSING', `Topic ${name}, the changelog of table ${state.name}, ${how}.`)
  }

  #group(): void {
    const counts = new Set(this.sources.flatMap((topic) => this.partitions(topic) ?? []))
    for (const count of counts) {
      const states = this.statesWith(count)
      const standbys = Math.max(0, ...states.map((state) => this.copiesOf(state)))
      this.#groups.set(count, {
        topics: this.sources.filter((topic) => this.partitions(topic) === count),
        parts: states.map(({ name }) => name).toSorted(),
        ...(standbys === 0 ? {} : { standbys }),
      })
    }
  }
}
