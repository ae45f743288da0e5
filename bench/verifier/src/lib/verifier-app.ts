import { createApp, json, type App, type AppSettings } from '@millrace/app'
import { systemClock, type Logger, type StoreFactory, type TransportFactory } from '@millrace/core'
import type { Input } from './input-records.ts'
import { declareTimed } from './timed-app.ts'
import { troubleOf } from './trouble.ts'
import type { VerifierRun } from './verifier-run.ts'
import { verifierTopics, type TopicPlace } from './verifier-topics.ts'

/** What every output says of the handler that made it. */
export interface Mark {
  /** The worker process. */
  readonly by: string
  /** How often this process had failed on the event before. */
  readonly attempt: number
}

/** Numbers of a key's events, in the order in which they were counted. */
export interface Counted {
  readonly count: number
  readonly seqs: readonly number[]
}

/** Numbers of a group's events. */
export interface Grouped {
  readonly count: number
  readonly numbers: readonly number[]
}

export interface Tally {
  readonly count: number
  readonly sum: number
}

export interface VerifierDrivers {
  readonly log: Logger
  readonly broker: TransportFactory | string
  readonly store: StoreFactory | string
}

/** The app under fire: counts, transforms, routes, groups, and what goes by event time; it fails now and then when everything is done. */
export function verifierApp(run: VerifierRun, by: string, { log, broker, store }: VerifierDrivers): App {
  const { id, seed, guarantee, sessionMs, commitMs } = run
  const topics = verifierTopics(id)
  const settings: AppSettings = {
    id,
    broker,
    store,
    processingGuarantee: guarantee,
    sessionTimeout: sessionMs,
    commitInterval: commitMs,
    drainTimeout: '5s',
    transactionTimeout: '20s',
    // What the groups are counted from is compared with what is in there.
    repartitionPurgeInterval: 0,
    // Event time then depends on the records alone, and so does what is late.
    idleAfter: false,
    web: false,
    agent: { retries: 8, backoff: '40ms', maxBackoff: '200ms' },
  }
  const app = createApp(settings, { log })
  const clock = systemClock()
  const failed = new Map<string, number>()
  const attemptOf = (agent: string, id: number | string): number => failed.get(`${agent} ${id}`) ?? 0
  const markOf = (agent: string, id: number | string): Mark => ({ by, attempt: attemptOf(agent, id) })
  const befall = async (agent: string, id: number | string): Promise<void> => {
    const attempt = attemptOf(agent, id)
    const { fails, waitMs } = troubleOf(seed, agent, id, attempt)
    if (waitMs > 0) await clock.sleep(waitMs)
    if (!fails) return
    failed.set(`${agent} ${id}`, attempt + 1)
    throw new Error(`Planned failure of ${agent} on ${id}, attempt ${attempt}.`)
  }
  const input = ({ name, partitions }: TopicPlace) =>
    app.topic(name, { key: 'string', value: json<Input>(), partitions })
  const output = ({ name, partitions }: TopicPlace) =>
    app.topic(name, { key: 'string', value: json<object>(), partitions })

  const a = input(topics.a)
  const b = input(topics.b)
  const counted = output(topics.counted)
  const out = output(topics.out)
  const routes = topics.routes.map((route) => ({ topic: output(route), partitions: route.partitions }))
  const grouped = output(topics.grouped)

  const counts = app.table('counts', {
    key: 'string',
    value: json<Counted>(),
    default: () => ({ count: 0, seqs: [] }),
    partitions: topics.countsLog.partitions,
  })
  const groups = app.table('groups', {
    key: 'string',
    value: json<Grouped>(),
    default: () => ({ count: 0, numbers: [] }),
    partitions: topics.groupsLog.partitions,
  })
  const tallies = app.table('tallies', {
    key: 'string',
    value: json<Tally>(),
    default: () => ({ count: 0, sum: 0 }),
    partitions: topics.talliesLog.partitions,
  })

  app.agent(
    'count',
    a,
    async (inputs) => {
      for await (const { n, key, seq } of inputs) {
        const { count, seqs } = counts.get(key)
        counts.set(key, { count: count + 1, seqs: [...seqs, seq] })
        await counted.send({ key, value: { n, seq, count: count + 1, ...markOf('count', n) } })
        await befall('count', n)
      }
    },
    { concurrency: 4 },
  )

  app.agent(
    'transform',
    a,
    async (inputs) => {
      const changed = inputs.map(({ n, seq }) => ({ n, seq, twice: 2 * n, ...markOf('transform', n) }))
      for await (const event of changed.events()) {
        const { n } = event.value
        await event.forward(out)
        const route = routes[n % routes.length]
        if (route === undefined) throw new Error(`Record ${n} has no route.`)
        await route.topic.send({ key: event.key, value: event.value, partition: n % route.partitions })
        await befall('transform', n)
      }
    },
    { concurrency: 3 },
  )

  app.agent(
    'group',
    b,
    async (inputs) => {
      for await (const event of inputs.groupBy(({ group }) => group, { name: 'by-group' }).events()) {
        const { n, key, seq, group } = event.value
        groups.update(group, ({ count, numbers }) => ({ count: count + 1, numbers: [...numbers, n] }))
        await event.forward(grouped)
        await counted.send({ key: `of ${key}`, value: { n, seq, ...markOf('group', n) } })
        await befall('group', n)
      }
    },
    { concurrency: 2 },
  )

  app.agent('tally', b, async (inputs) => {
    for await (const { n, key } of inputs) {
      tallies.update(key, ({ count, sum }) => ({ count: count + 1, sum: sum + n }))
      await befall('tally', n)
    }
  })

  declareTimed(app, {
    ...{ run, topics, markOf, befall },
    c: input(topics.c),
    d: input(topics.d),
    timed: output(topics.timed),
    late: output(topics.late),
  })
  return app
}
