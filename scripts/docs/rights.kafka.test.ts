import { createApp, type App } from '@millrace/app'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } from 'kafkajs'
import { beforeAll, expect, test } from 'vitest'
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

describeOwnKafka('an app with the rights of the page and no others', { settings, sasl: SHOP }, (kafka) => {
  const client = new Kafka({ brokers: kafka.brokers.split(','), logLevel: logLevel.NOTHING })
  const acls = WORKER_GRANTS.flatMap(aclsOf)

  beforeAll(async () => {
    const admin = client.admin()
    await admin.connect()
    await admin.createTopics({ topics: ['orders', 'totals'].map((topic) => ({ topic, numPartitions: 2 })) })
    await admin.createAcls({ acl: acls })
    await admin.disconnect()
  }, 60_000)

  /** Reads, groups, counts, sends, gives up, runs a job of the leader. */
  function shop(processingGuarantee: 'at-least-once' | 'exactly-once', warnings: string[]) {
    const note = (...line: readonly unknown[]): void => void warnings.push(JSON.stringify(line))
    const app: App = createApp(
      {
        id: 'shop',
        broker: `kafka://${kafka.saslBrokers}`,
        kafka: { sasl: { mechanism: 'plain', ...SHOP } },
        processingGuarantee,
        commitInterval: '100ms',
        repartitionPurgeInterval: '300ms',
        topicPartitions: 2,
        web: false,
      },
      { log: { debug: () => {}, info: () => {}, warn: note, error: note } },
    )
    const orders = app.topic('orders', { value: 'number' })
    const totals = app.topic('totals', { value: 'number' })
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
    return { app, sums, ticks: () => ticks }
  }

  async function sent(topic: string): Promise<number> {
    const admin = client.admin()
    await admin.connect()
    const offsets = await admin.fetchTopicOffsets(topic).catch(() => [])
    await admin.disconnect()
    return offsets.reduce((sum, { high }) => sum + Number(high), 0)
  }

  async function sendOrders(orders: readonly number[]): Promise<void> {
    const producer = client.producer()
    await producer.connect()
    await producer.send({ topic: 'orders', messages: orders.map((value) => ({ value: String(value) })) })
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

  test('misses one that is taken away', { timeout: 90_000 }, async () => {
    const admin = client.admin()
    await admin.connect()
    const [taken] = acls.filter(({ operation }) => operation === AclOperationTypes.DESCRIBE_CONFIGS)
    await admin.deleteAcls({ filters: taken === undefined ? [] : [taken] })
    await admin.disconnect()
    const warnings: string[] = []
    const { app } = shop('at-least-once', warnings)
    await app.start()
    await app.stop()
    expect(warnings).toContainEqual(expect.stringMatching(MISSED))
  })
})
