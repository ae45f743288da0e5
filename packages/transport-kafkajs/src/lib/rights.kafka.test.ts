import { isMillraceError, NO_HEADERS, systemClock, toError, type Logger, type Transport } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKafkaTransport } from './kafka-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const clock = systemClock()
const OPEN = { guard: (): void => {} }
const settings = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
}

/** `TestCode: detail` of what is thrown. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return ''
  } catch (thrown) {
    return isMillraceError(thrown) ? `${thrown.code}: ${thrown.detail}` : toError(thrown).message
  }
}

describeOwnKafka('a transaction that is not allowed', { settings }, (kafka) => {
  const brokers = kafka.brokers.split(',')
  let transport: Transport
  beforeAll(async () => {
    transport = createKafkaTransport({ brokers, clientId: 'rights' }, { clock, log: silent })
    await transport.connect({ timeoutMs: 30_000 })
    for (const name of ['open', 'shut'])
      await transport.admin().createTopics([{ name, partitions: 1, replicationFactor: 1, config: {} }])
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const denied = {
      principal: 'User:ANONYMOUS',
      host: '*',
      permissionType: AclPermissionTypes.DENY,
      resourcePatternType: ResourcePatternTypes.LITERAL,
    }
    const anyone = { ...denied, permissionType: AclPermissionTypes.ALLOW, operation: AclOperationTypes.ALL }
    await admin.createAcls({
      acl: [
        { ...anyone, resourceType: AclResourceTypes.TOPIC, resourceName: 'shut' },
        { ...denied, resourceType: AclResourceTypes.TOPIC, resourceName: 'shut', operation: AclOperationTypes.WRITE },
        { ...denied, resourceType: AclResourceTypes.GROUP, resourceName: 'shut', operation: AclOperationTypes.READ },
        {
          ...denied,
          resourceType: AclResourceTypes.TRANSACTIONAL_ID,
          resourceName: 'shut',
          operation: AclOperationTypes.WRITE,
        },
      ],
    })
    await admin.disconnect()
  }, 60_000)
  afterAll(() => transport.close())

  const begun = async (id: string) => {
    const producer = transport.transactionalProducer({ id, timeoutMs: 10_000 })
    await producer.init()
    await producer.begin()
    return producer
  }
  const record = { partition: 0, key: null, value: Buffer.from('v'), headers: NO_HEADERS, timestamp: 0 }

  test('says which topic, which group or which id, and what is missing', { timeout: 60_000 }, async () => {
    const topic = await begun('topic')
    expect(await refusal(() => topic.send([{ ...record, topic: 'shut' }], OPEN))).toMatch(
      /^NOT_AUTHORIZED: Transactional id "topic".*shut\/0.*TOPIC_AUTHORIZATION_FAILED.*right Write on the topic/,
    )
    const group = await begun('group')
    const offsets = [{ topic: 'open', partition: 0, offset: 0, metadata: '' }]
    expect(await refusal(() => group.sendOffsets('shut', offsets))).toMatch(
      /^NOT_AUTHORIZED: Transactional id "group".*GROUP_AUTHORIZATION_FAILED.*right Read on the group/,
    )
    expect(await refusal(() => begun('shut'))).toMatch(
      /^NOT_AUTHORIZED: .*"shut".*TRANSACTIONAL_ID_AUTHORIZATION_FAILED/,
    )
    const slow = transport.transactionalProducer({ id: 'slow', timeoutMs: 24 * 3_600_000 })
    expect(await refusal(() => slow.init())).toMatch(
      /^SETTING_INVALID: Transactional id "slow".*transaction.max.timeout.ms.*INVALID_TRANSACTION_TIMEOUT/,
    )
  })
})
