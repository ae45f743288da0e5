import { createApp, type App } from '@millrace/app'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
  type AclEntry,
  type Admin,
} from 'kafkajs'
import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test, vi } from 'vitest'
import { operationsOf, WORKER_GRANTS, type Grant } from './rights.ts'

const SHOP = { username: 'shop', password: 'secret' }
/** Whoever comes by the plain listener may do everything: the brokers themselves, and the test. */
const settings = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
}
const KINDS = {
  topic: AclResourceTypes.TOPIC,
  group: AclResourceTypes.GROUP,
  'transactional-id': AclResourceTypes.TRANSACTIONAL_ID,
}
const OPERATIONS = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Describe: AclOperationTypes.DESCRIBE,
  Create: AclOperationTypes.CREATE,
  Delete: AclOperationTypes.DELETE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
}
/** How the log speaks of a right that is missing. */
const MISSED = /NOT_AUTHORIZED|AUTHORIZATION_FAILED|the right /
const LIMIT = { timeout: 30_000, interval: 50 }

/** What kafka-acls makes of a grant of the page. */
function aclsOf(grant: Grant) {
  return operationsOf(grant).map((operation) => ({
    principal: 'User:shop',
    host: '*',
    permissionType: AclPermissionTypes.ALLOW,
    resourceType: KINDS[grant.kind],
    resourceName: grant.name,
    resourcePatternType: grant.prefixed ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    operation: OPERATIONS[operation],
  }))
}

function nameOf(acl: Pick<AclEntry, 'resourceType' | 'resourceName' | 'operation'>): string {
  return `${acl.resourceType} ${acl.resourceName} ${acl.operation}`
}

describeOwnKafka('an app with the rights of the page and no others', { settings, sasl: SHOP }, (kafka) => {
  const client = new Kafka({ brokers: kafka.brokers.split(','), logLevel: logLevel.NOTHING })
  const acls = WORKER_GRANTS.flatMap(aclsOf)

  beforeAll(async () => {
    const admin = client.admin()
    await admin.connect()
    await provide(admin, ['orders', 'totals'], acls)
    await admin.disconnect()
  }, 60_000)

  /** Makes topics and grants rights. The controller answers before the broker goes by them, so it is asked until it does. */
  async function provide(admin: Admin, topics: readonly string[], acl: readonly AclEntry[]): Promise<void> {
    await admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: 2 })),
      waitForLeaders: false,
    })
    await allow(admin, acl)
    await vi.waitFor(async () => expect(await admin.listTopics()).toEqual(expect.arrayContaining([...topics])), LIMIT)
  }

  async function allow(admin: Admin, acl: readonly AclEntry[]): Promise<void> {
    await admin.createAcls({ acl: [...acl] })
    const granted = async (): Promise<readonly string[]> => {
      const { resources } = await admin.describeAcls({
        resourceType: AclResourceTypes.ANY,
        resourcePatternType: ResourcePatternTypes.ANY,
        operation: AclOperationTypes.ANY,
        permissionType: AclPermissionTypes.ANY,
      })
      return resources.flatMap((resource) => resource.acls.map((one) => nameOf({ ...resource, ...one })))
    }
    const wanted = expect.arrayContaining(acl.map(nameOf))
    await vi.waitFor(async () => expect(await granted()).toEqual(wanted), LIMIT)
  }

  function aclsFor(id: string) {
    return WORKER_GRANTS.flatMap((grant) =>
      aclsOf({
        ...grant,
        name: grant.name === 'shop' ? id : grant.name === 'shop-' ? `${id}-` : `${grant.name}${id}`,
      }).map((acl) => ({ ...acl, of: grant })),
    )
  }

  /** Reads, groups, counts, sends, gives up, runs a job of the leader. */
  function shop(
    processingGuarantee: 'at-least-once' | 'exactly-once',
    warnings: string[],
    { id = 'shop', create = true }: { readonly id?: string; readonly create?: boolean } = {},
  ) {
    const suffix = id === 'shop' ? '' : id
    const note = (...line: readonly unknown[]): void => void warnings.push(JSON.stringify(line))
    const app: App = createApp(
      {
        id,
        broker: `kafka://${kafka.saslBrokers}`,
        kafka: { sasl: { mechanism: 'plain', ...SHOP } },
        processingGuarantee,
        commitInterval: '100ms',
        repartitionPurgeInterval: '300ms',
        topicPartitions: 2,
        topics: { create },
        web: false,
      },
      { log: { debug: () => {}, info: () => {}, warn: note, error: note } },
    )
    const orders = app.topic(`orders${suffix}`, { value: 'number' })
    const totals = app.topic(`totals${suffix}`, { value: 'number' })
    const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
    app.agent(
      'sum',
      orders,
      async (stream) => {
        for await (const value of stream.groupBy((order) => `size ${order % 2}`, { name: 'by-size' })) {
          if (value < 0) throw new Error('An order of less than nothing.')
          const sum = sums.update(`size ${value % 2}`, (before) => before + value)
          await totals.send({ value: sum })
        }
      },
      { onError: 'deadLetter' },
    )
    let ticks = 0
    app.timer('200ms', { onLeader: true }, async function tick() {
      ticks++
    })
    return { app, totals, sums, ticks: () => ticks }
  }

  async function sent(topic: string): Promise<number> {
    const admin = client.admin()
    await admin.connect()
    // Of a topic that is not there kafkajs would ask for ten seconds.
    const isThere = (await admin.listTopics()).includes(topic)
    const offsets = isThere ? await admin.fetchTopicOffsets(topic) : []
    await admin.disconnect()
    return offsets.reduce((sum, { high }) => sum + Number(high), 0)
  }

  async function sendOrders(orders: readonly number[], topic = 'orders'): Promise<void> {
    const producer = client.producer()
    await producer.connect()
    await producer.send({ topic, messages: orders.map((value) => ({ value: String(value) })) })
    await producer.disconnect()
  }

  test.each(['at-least-once', 'exactly-once'] as const)(
    'does all its work: %s',
    { timeout: 90_000 },
    async (guarantee) => {
      const warnings: string[] = []
      const { app, sums, ticks } = shop(guarantee, warnings)
      const [totals, letters] = [await sent('totals'), await sent('shop-sum-dlq')]
      await sendOrders([1, 2, 3, 4, -2])
      await app.start()
      await expect.poll(() => sent('totals'), LIMIT).toBeGreaterThanOrEqual(totals + 4)
      await expect.poll(() => sent('shop-sum-dlq'), LIMIT).toBeGreaterThan(letters)
      await expect.poll(ticks, LIMIT).toBeGreaterThan(0)
      expect(['size 0', 'size 1'].map((key) => sums.get(key, { committed: true }))).not.toContain(undefined)
      await app.stop()
      expect(warnings.filter((line) => MISSED.test(line))).toEqual([])
    },
  )

  interface Missing {
    readonly grant: Grant
    readonly operation: ReturnType<typeof operationsOf>[number]
    readonly guarantee: 'at-least-once' | 'exactly-once'
  }
  const missing = WORKER_GRANTS.flatMap((grant) =>
    operationsOf(grant).flatMap((operation) =>
      (['at-least-once', 'exactly-once'] as const).map((guarantee): Missing => ({ grant, operation, guarantee })),
    ),
  )
  /** Without them a worker goes on, and says what it cannot do. */
  const goesOnWithout = ({ grant: { kind }, operation, guarantee }: Missing): boolean =>
    operation === 'Delete' ||
    operation === 'DescribeConfigs' ||
    (kind === 'transactional-id' && guarantee === 'at-least-once')

  /** Runs an app without one right, then with all, and counts. Each has topics and rights of its own. */
  async function without(one: Missing, id: string): Promise<void> {
    const { grant, operation, guarantee } = one
    const all = aclsFor(id)
    const taken = all.filter((acl) => acl.of === grant && acl.operation === OPERATIONS[operation])
    expect(taken).toHaveLength(1)
    const admin = client.admin()
    await admin.connect()
    await provide(
      admin,
      [`orders${id}`, `totals${id}`],
      all.filter((acl) => !taken.includes(acl)),
    )
    await sendOrders([1, 2, 3, 4], `orders${id}`)
    const warnings: string[] = []
    const first = shop(guarantee, warnings, { id })
    let failure = ''
    const ended = first.app
      .start()
      .then(() => first.app.finished())
      .catch((error: unknown) => void (failure = String(error)))
    // The resource by its name, and the right, in one line.
    const what = taken[0]?.resourceName ?? ''
    // A topic on which an app has no right at all it cannot even see.
    const right = grant.kind === 'topic' && grant.prefixed === undefined ? 'Describe' : operation
    const said = (): readonly string[] => [failure, ...warnings].filter((line) => MISSED.test(line))
    const isNamed = (line: string): boolean => line.includes(what) && line.includes(`the right ${right} on`)
    await expect
      .poll(said, { ...LIMIT, message: `${operation} on ${what} is named` })
      .toSatisfy((lines: readonly string[]) => lines.some(isNamed))
    if (goesOnWithout(one)) await expect.poll(() => sent(`totals${id}`), LIMIT).toBeGreaterThanOrEqual(4)
    else await ended
    expect(failure === '').toBe(goesOnWithout(one))
    expect([failure, ...warnings].join(' ')).not.toContain('bug in Millrace')
    await first.app.stop()

    await allow(admin, taken)
    await admin.disconnect()
    const second = shop(guarantee, warnings, { id })
    await second.app.start()
    await sendOrders([5, 6], `orders${id}`)
    const sumOf = (key: string): number => second.sums.get(key, { committed: true }) ?? 0
    const sums = (): readonly number[] => ['size 0', 'size 1'].map(sumOf)
    if (guarantee === 'exactly-once') await expect.poll(sums, LIMIT).toEqual([12, 9])
    // What went out before the right was missed may count again.
    else await expect.poll(() => sumOf('size 0') >= 12 && sumOf('size 1') >= 9, LIMIT).toBe(true)
    await second.app.stop()
  }

  test(
    'each right that is taken away is named with what it is missed on, and nothing is lost',
    { timeout: 120_000 },
    async () => {
      // Names of its own for each attempt: what the last one was granted is still granted.
      const attempt = randomBytes(3).toString('hex')
      const left = missing.map((one, i) => ({ one, id: `a${attempt}${i}` }))
      // Several at a time: each waits for its group most of the time.
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          for (let next = left.shift(); next !== undefined; next = left.shift()) await without(next.one, next.id)
        }),
      )
    },
  )

  test('with topics.create: false no topic is made, though the app might and the broker makes them for whoever asks', async () => {
    const admin = client.admin()
    await admin.connect()
    const acls = aclsFor('bare')
    const creating = acls.map((acl) => ({ ...acl, operation: AclOperationTypes.CREATE }))
    await allow(admin, [...acls, ...creating.filter((acl) => acl.resourceType === AclResourceTypes.TOPIC)])
    const before = (await admin.listTopics()).sort()
    const { app, totals } = shop('exactly-once', [], { id: 'bare', create: false })
    await expect(app.start()).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringMatching(
        /--create --topic ordersbare --partitions 2\n[^]*--topic bare-sums-changelog --partitions 2 --config cleanup\.policy=compact/,
      ),
    })
    const lost = totals.send({ value: 1 }).then((receipt) => receipt.metadata())
    await expect(lost).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
    await app.stop()
    expect((await admin.listTopics()).sort()).toEqual(before)
    await admin.disconnect()
  })
})
