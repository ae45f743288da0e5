import { runCli } from '@millrace/cli'
import { isMillraceError, systemClock } from '@millrace/core'
import { commandLine } from '@millrace/core/operations'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { afterEach, expect, test } from 'vitest'
import { type App, createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const LIMIT = { timeout: 10_000, interval: 5 }
const running: App[] = []
afterEach(() => Promise.all(running.splice(0).map((app) => app.stop({ hard: true }))))

/** An app that reads, groups, counts, sends, gives up, asks and runs a leader's job, but may not create topics. */
function shop(log: MemoryLog) {
  const app = createApp(
    {
      id: 'shop',
      broker: () => createMemoryTransport(log, { clock: systemClock(), log: quiet }),
      topics: { create: false },
      replicationFactor: 3,
      topicPartitions: 2,
      commitInterval: '10ms',
      onBatchError: 'deadLetter',
      agent: { retries: 0 },
      web: false,
    },
    { log: quiet },
  )
  running.push(app)
  const orders = app.topic('orders', { value: 'number', create: false })
  const totals = app.topic('totals', { value: 'number', partitions: 5 })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
  app.agent(
    'sum',
    orders,
    async (stream) => {
      for await (const value of stream.groupBy((order) => `size ${order % 2}`, { name: 'by-size' })) {
        if (value < 0) throw new Error('An order of less than nothing.')
        sums.update(`size ${value % 2}`, (before) => before + value)
        await totals.send({ value })
      }
    },
    { onError: 'deadLetter' },
  )
  const answer = app.agent('answer', orders, async function* (stream) {
    for await (const value of stream) yield value
  })
  app.timer('1h', { onLeader: true }, async function tick() {})
  return { app, orders, sums, answer }
}

async function missingOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (thrown) {
    if (isMillraceError(thrown, 'TOPIC_MISSING')) return thrown.detail
    throw thrown
  }
  throw new Error('Nothing is missing.')
}

/** Carries out a message's commands as an operator would. */
async function obey(log: MemoryLog, message: string): Promise<readonly string[]> {
  const commands = message.split('\n').filter((line) => line.startsWith('  kafka-topics.sh '))
  const specs = commands.map((command) => {
    const [, name = '', partitions = ''] = /--create --topic (\S+) --partitions (\d+)/.exec(command) ?? []
    const config = [...command.matchAll(/--config (\S+?)=(\S+)/g)].map(([, setting = '', value = '']) => [
      setting,
      value,
    ])
    return { name, partitions: Number(partitions), replicationFactor: -1, config: Object.fromEntries(config) }
  })
  await createMemoryTransport(log, { clock: systemClock(), log: quiet }).admin().createTopics(specs)
  return commands
}

const namesIn = (log: MemoryLog): readonly string[] =>
  log
    .topics()
    .map(({ name }) => name)
    .sort()

/** The doctor's findings about topics. */
async function doctor(app: App): Promise<{ readonly detail: string; readonly fix: string | null } | undefined> {
  let text = ''
  const stdout = { write: (piece: string) => (text += piece) }
  const terminal = { stdout, stderr: { write: () => {} }, env: {} }
  await runCli(['doctor', '--json'], { app: app[commandLine], terminal })
  const found: readonly { readonly name: string; readonly detail: string; readonly fix: string | null }[] =
    JSON.parse(text)
  return found.find(({ name, fix }) => name === 'topics' && fix !== null)
}

test(
  'lists all missing topics at once with commands that suffice, and creates nothing',
  { timeout: 60_000 },
  async () => {
    const log = createMemoryLog()
    const message = await missingOf(shop(log).app.start())
    expect(namesIn(log)).toEqual([])
    expect(message).toContain('docs/reference/rights.md')
    const found = await doctor(shop(log).app)
    expect(found?.detail).toContain('8 topics are missing')
    // All but the topic that the handler regroups by, which is known only once it runs.
    const told = message.split('\n').filter((line) => line.includes('--create') && !line.includes('-repartition'))
    expect(found?.fix?.split('\n').slice(1).sort()).toEqual(told.sort())
    const commands = await obey(log, message)
    expect(commands).toContain(
      '  kafka-topics.sh --bootstrap-server HOST:PORT --create --topic totals --partitions 5 --replication-factor 3',
    )
    expect(commands).toContainEqual(
      expect.stringMatching(
        /--topic shop-sums-changelog --partitions 2 --replication-factor 3 --config cleanup\.policy=compact/,
      ),
    )
    const names = namesIn(log)
    expect(names).toEqual([
      'orders',
      'shop-__assignor-__leader',
      'shop-__broken-batches',
      'shop-__scheduler',
      'shop-answer-dlq',
      'shop-sum-by-size-repartition',
      'shop-sum-dlq',
      'shop-sums-changelog',
      'totals',
    ])

    expect((await doctor(shop(log).app))?.detail).toBeUndefined()
    const { app, orders, sums, answer } = shop(log)
    // The topics that listings and the doctor use.
    expect(app[commandLine].describe().topics.map(({ created }) => created)).toEqual([false, false])
    await app.start()
    await orders.send({ value: 4 })
    await orders.send({ value: -2 })
    await expect.poll(() => sums.get('size 0', { committed: true }), LIMIT).toBe(4)
    await expect.poll(async () => (await app.deadLetters.list())[0]?.letters, LIMIT).toBe(1)
    // Topics that only some calls need are named when those calls are made.
    const replies = await missingOf(answer.ask(1))
    const replays = await missingOf(app.deadLetters.replay('sum', 'all'))
    expect(namesIn(log)).toEqual(names)
    await obey(log, replies)
    await obey(log, replays)
    expect(namesIn(log)).toEqual([...names, 'shop-__replays', 'shop-replies'].sort())
    expect(await app.deadLetters.replay('sum', 'all')).toMatchObject({ replayed: 1 })
    await app.stop()
  },
)
