import { type Clock, type Logger, manualClock, MillraceError, systemClock } from '@millrace/core'
import type { Admin, TopicInfo } from '@millrace/core/driver'
import type { StateDefinition } from '../contracts/task.ts'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { testSettings } from '../fixtures/test-worker.fixture.ts'
import { DeclaredTopology } from './declared-topology.ts'
import { TopicDirectory } from './topic-directory.ts'

const counts: StateDefinition = {
  name: 'counts',
  changelog: { topic: 'app-counts-changelog', config: { 'cleanup.policy': 'compact' } },
  partitions: 1,
  openState: () => {
    throw new Error('not opened here')
  },
}

async function world(config?: Readonly<Record<string, string>>): Promise<{
  admin: Admin
  warnings: string[]
  resolve(admin?: Admin, clock?: Clock): Promise<TopicDirectory>
}> {
  const warnings: string[] = []
  const log: Logger = {
    debug: () => {},
    info: () => {},
    warn: (_fields, message) => void warnings.push(message),
    error: () => {},
  }
  const transport = createMemoryTransport(createMemoryLog(), { clock: systemClock(), log })
  await transport.connect({ timeoutMs: 1000 })
  const admin = transport.admin()
  if (config !== undefined)
    await admin.createTopics([{ name: counts.changelog.topic, partitions: 1, replicationFactor: -1, config }])
  const resolve = async (chosen: Admin = admin, clock: Clock = systemClock()): Promise<TopicDirectory> => {
    const directory = new TopicDirectory({ appId: 'app', clock, log, settings: testSettings }, chosen)
    const topology = new DeclaredTopology('app', () => [])
    topology.state(counts)
    await directory.resolve(topology)
    return directory
  }
  return { admin, warnings, resolve }
}

test('a changelog that the app creates has the right settings', async () => {
  const { resolve, warnings } = await world()
  await resolve()
  expect(warnings).toEqual([])
})

test('a changelog whose rows the broker deletes keeps the worker from starting', async () => {
  const { resolve } = await world({ 'cleanup.policy': 'delete' })
  await expect(resolve()).rejects.toMatchObject({ code: 'CHANGELOG_LOSES_ROWS' })
})

test('a changelog that is not compacted but keeps everything causes a warning', async () => {
  const { resolve, warnings } = await world({ 'cleanup.policy': 'delete', 'retention.ms': '-1' })
  await resolve()
  expect(warnings).toEqual([expect.stringMatching(/counts.*not compacted/)])
})

test("the time for which deletions are kept is the broker's, not the declared one", async () => {
  const { resolve } = await world({ 'cleanup.policy': 'compact', 'delete.retention.ms': '60000' })
  expect((await resolve()).changelogConfig(counts)).toMatchObject({ 'delete.retention.ms': '60000' })
})

test('if the app may not read settings, the worker starts with a warning', async () => {
  const { admin, resolve, warnings } = await world({ 'cleanup.policy': 'delete' })
  const shut: Admin = new Proxy(admin, {
    get: (target, name) =>
      name === 'topicSettings'
        ? () => Promise.reject(new MillraceError('NOT_AUTHORIZED', 'not for you'))
        : Reflect.get(target, name).bind(target),
  })
  const directory = await resolve(shut)
  expect(warnings).toEqual([expect.stringMatching(/DescribeConfigs/)])
  expect(directory.changelogConfig(counts)).toEqual(counts.changelog.config)
})

/** An admin that passes topic descriptions through `told`. */
function retelling(admin: Admin, told: (topics: readonly TopicInfo[]) => readonly TopicInfo[]): Admin {
  return {
    topics: async (names) => told(await admin.topics(names)),
    topicSettings: (names) => admin.topicSettings(names),
    brokers: () => admin.brokers(),
    createTopics: (specs) => admin.createTopics(specs),
    deleteTopics: (names) => admin.deleteTopics(names),
    offsets: (partitions, isolation) => admin.offsets(partitions, isolation),
    offsetsAt: (partitions, timestampMs) => admin.offsetsAt(partitions, timestampMs),
    deleteRecords: (before, options) => admin.deleteRecords(before, options),
    committed: (groupId, partitions) => admin.committed(groupId, partitions),
    commit: (groupId, offsets) => admin.commit(groupId, offsets),
    members: (groupId) => admin.members(groupId),
    deleteGroup: (groupId) => admin.deleteGroup(groupId),
    close: () => admin.close(),
  }
}

test('a broker that does not list a new topic yet is asked again', async () => {
  const { admin, resolve } = await world()
  let looks = 0
  const directory = await resolve(retelling(admin, (topics) => (looks++ < 3 ? [] : topics)))
  expect(directory.partitionsOf(counts)).toBe(1)
  expect(looks).toBeGreaterThan(3)
})

test.each([
  ['lists an existing topic', 3, undefined],
  ['keeps not listing it', Infinity, 'CHANGELOG_MISSING'],
] as const)(
  'while the worker runs, a check that misses a topic is repeated, with a broker that %s',
  async (_, hidden, code) => {
    const clock = manualClock()
    const { admin, resolve } = await world({ 'cleanup.policy': 'compact' })
    let looks = 0
    let hides = false
    const told = (topics: readonly TopicInfo[]): readonly TopicInfo[] => (hides && looks++ < hidden ? [] : topics)
    const directory = await resolve(retelling(admin, told), clock)
    const errors: Error[] = []
    directory.watch((error) => errors.push(error))
    hides = true
    for (let passedMs = 0; passedMs < 65_000; passedMs += 250) await clock.advance(250)
    expect(errors).toMatchObject(code === undefined ? [] : [{ code }])
    expect(looks).toBeGreaterThan(4)
    directory.close()
  },
)

test('the error of a deleted changelog names it as one, and does not ask to create it', async () => {
  const { admin, resolve } = await world()
  const clock = manualClock()
  const directory = await resolve(admin, clock)
  const failures: Error[] = []
  directory.watch((error) => void failures.push(error))
  await admin.deleteTopics([counts.changelog.topic])
  for (let turn = 0; turn < 1000 && failures.length === 0; turn++) {
    await clock.advance('10s')
    await new Promise((resolve) => void setImmediate(resolve))
  }
  directory.close()
  expect(failures[0]).toMatchObject({
    code: 'CHANGELOG_MISSING',
    message: expect.stringMatching(/app-counts-changelog.*table counts.*Do not create it/s),
  })
})

test('checks continue after a failed one, and notice a topic that is deleted later', async () => {
  const clock = manualClock()
  const { admin, resolve } = await world()
  let fails = false
  const told = (topics: readonly TopicInfo[]): readonly TopicInfo[] => {
    if (!fails) return topics
    fails = false
    throw new MillraceError('TIMEOUT', 'The broker does not answer.')
  }
  const directory = await resolve(retelling(admin, told), clock)
  const failures: Error[] = []
  directory.watch((error) => void failures.push(error))
  fails = true
  for (let passedMs = 0; passedMs < 35_000; passedMs += 1000) await clock.advance(1000)
  expect([fails, failures]).toEqual([false, []])
  await admin.deleteTopics([counts.changelog.topic])
  for (let passedMs = 0; passedMs < 65_000; passedMs += 250) await clock.advance(250)
  expect(failures).toMatchObject([{ code: 'CHANGELOG_MISSING' }])
  directory.close()
})
