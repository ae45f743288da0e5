import type { ConnectionOptions } from 'node:tls'
import { eventually } from '@millrace/conformance'
import { isMillraceError, type Logger, NO_HEADERS, systemClock, toError } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificates } from './certificates.fixture.ts'
import type { KafkaSasl, KafkaTransportOptions } from './kafka-transport-options.ts'
import { createKafkaTransport } from './kafka-transport.ts'

const USER = { username: 'ann', password: 'correct' }
const OPEN = { guard: (): void => {} }
const clock = systemClock()
const certificates = await makeCertificates()
const { ca, otherCa, client } = certificates
afterAll(() => certificates.remove())

const tls = {
  'ssl.keystore.type': 'PEM',
  'ssl.keystore.location': certificates.keyStore,
  'ssl.truststore.type': 'PEM',
  'ssl.truststore.location': certificates.trustStore,
}
const jaas = (module: string, options: string): string =>
  `org.apache.kafka.common.security.${module} required${options};`
const plainUsers = ` username="ann" password="correct" user_ann="correct"`
/** One broker for all cases: plain text with passwords, TLS, mutual TLS, and TLS with all mechanisms. */
const kafkaOptions = {
  sasl: USER,
  settings: {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': 'true',
  },
  listeners: [
    { name: 'TLS', protocol: 'SSL', settings: tls },
    { name: 'MUTUAL', protocol: 'SSL', settings: { ...tls, 'ssl.client.auth': 'required' } },
    {
      name: 'BOTH',
      protocol: 'SASL_SSL',
      settings: {
        ...tls,
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        'plain.sasl.jaas.config': jaas('plain.PlainLoginModule', plainUsers),
        'scram-sha-256.sasl.jaas.config': jaas('scram.ScramLoginModule', ''),
        'scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule', ''),
        // Without options it accepts unsigned tokens.
        'oauthbearer.sasl.jaas.config': jaas('oauthbearer.OAuthBearerLoginModule', ''),
        // A connection ends with its token.
        'oauthbearer.connections.max.reauth.ms': '3600000',
      },
    },
  ],
} as const

describeOwnKafka('logging in, and rights', kafkaOptions, (kafka) => {
  const open: Transport[] = []
  const warnings: string[] = []
  const log: Logger = { debug: () => {}, info: () => {}, error: () => {}, warn: (_fields, text) => warnings.push(text) }
  let topics = 0

  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()))
    warnings.length = 0
  })

  const connect = async (options: Omit<KafkaTransportOptions, 'clientId'>, timeoutMs = 4_000): Promise<Transport> => {
    const transport = createKafkaTransport({ clientId: 'login', ...options }, { clock, log })
    open.push(transport)
    await transport.connect({ timeoutMs })
    return transport
  }
  const plainText = (sasl: KafkaSasl): Promise<Transport> => connect({ brokers: kafka.saslBrokers.split(','), sasl })
  const encrypted = (ssl: ConnectionOptions, brokers = kafka.brokersOf('TLS')): Promise<Transport> =>
    connect({ brokers, ssl })
  const both = (sasl: KafkaSasl): Promise<Transport> => connect({ brokers: kafka.brokersOf('BOTH'), ssl: { ca }, sasl })

  /** Sends a record and reads it, over every kind of connection that a worker has. */
  const useIt = async (transport: Transport): Promise<void> => {
    const topic = `login-${++topics}`
    await transport.admin().createTopics([{ name: topic, partitions: 1, replicationFactor: -1, config: {} }])
    const record = { topic, partition: 0, key: null, value: Buffer.from('v'), headers: NO_HEADERS, timestamp: 0 }
    expect(await transport.producer().send([record], OPEN)).toEqual([{ ok: true, offset: 0 }])
    const reader = transport.reader({ isolation: 'read-committed' })
    reader.assign({ topic, partition: 0 }, 0)
    const { value } = await reader.batches()[Symbol.asyncIterator]().next()
    expect(value?.records.map(({ value: bytes }: { readonly value: Buffer | null }) => bytes?.toString())).toEqual([
      'v',
    ])
    await reader.close()
  }

  describe.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s', (mechanism) => {
    test('accepts the right password, in plain text and over TLS', async () => {
      await useIt(await plainText({ mechanism, ...USER }))
      await useIt(await both({ mechanism, ...USER }))
    })

    test.each([plainText, both])('a wrong password is AUTHENTICATION_FAILED, at once', async (way) => {
      const started = performance.now()
      await expect(way({ mechanism, username: 'ann', password: 'wrong' })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/:\d+.*kafka\.sasl/),
      })
      expect(performance.now() - started).toBeLessThan(3_000)
    })
  })

  test('a mechanism that the broker does not offer is AUTHENTICATION_FAILED', async () => {
    await expect(plainText({ mechanism: 'oauthbearer', token: async () => token(60) })).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    })
  })

  describe('TLS', () => {
    test("succeeds with the authority that signed the broker's certificate", async () => {
      await useIt(await encrypted({ ca }))
    })

    test('with another authority fails at once, naming the setting', async () => {
      await expect(encrypted({ ca: otherCa })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/localhost:\d+.*kafka\.ssl\.ca/),
      })
    })

    test('with a name that is not in the certificate fails with that reason; servername sets the name', async () => {
      const brokers = kafka.brokersOf('TLS').map((broker) => broker.replace('localhost', '127.0.0.1'))
      await expect(encrypted({ ca }, brokers)).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/127\.0\.0\.1:\d+.*kafka\.ssl\.servername/),
      })
      await useIt(await encrypted({ ca, servername: 'localhost' }, brokers))
    })

    test('on both sides', async () => {
      const brokers = kafka.brokersOf('MUTUAL')
      await useIt(await encrypted({ ca, cert: client.cert, key: client.key }, brokers))
    })

    test('without the client certificate that the broker requires fails, naming the setting', async () => {
      await expect(encrypted({ ca }, kafka.brokersOf('MUTUAL'))).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/localhost:\d+.*kafka\.ssl\.cert/),
      })
    })

    test('to a port without TLS fails, and the error suggests the cause', async () => {
      await expect(connect({ brokers: kafka.saslBrokers.split(','), ssl: true }, 500)).rejects.toMatchObject({
        detail: expect.stringContaining('kafka.ssl'),
      })
    })

    test('plain text to a port with TLS fails, and the error suggests the cause', async () => {
      await expect(connect({ brokers: kafka.brokersOf('TLS') }, 500)).rejects.toMatchObject({
        code: 'BROKER_UNREACHABLE',
        detail: expect.stringContaining('kafka.ssl'),
      })
    })
  })

  describe('oauthbearer', () => {
    test('an expiring token is replaced without interruption', async () => {
      let given = 0
      const transport = await both({
        mechanism: 'oauthbearer',
        token: async () => {
          given++
          return token(4)
        },
      })
      await useIt(transport)
      const first = given
      const startedMs = clock.monotonic()
      await eventually(
        async () => {
          await useIt(transport)
          return clock.monotonic() - startedMs > 5_000
        },
        { what: 'the first token to end' },
      )
      expect(given).toBeGreaterThan(first)
      expect(warnings).toEqual([])
    })

    test('an expired token is refused', async () => {
      await expect(both({ mechanism: 'oauthbearer', token: async () => token(-60) })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/kafka\.sasl\.token.*invalid_token/),
      })
    })

    test('a failing token provider is reported at once by name', async () => {
      const failing = async (): Promise<string> => {
        throw new Error('the issuer is away')
      }
      await expect(both({ mechanism: 'oauthbearer', token: failing })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringMatching(/kafka\.sasl\.token.*the issuer is away/),
      })
    })
  })

  describe('a transaction that is not allowed', () => {
    const brokers = kafka.brokers.split(',')
    let transport: Transport
    beforeAll(async () => {
      transport = createKafkaTransport({ brokers, clientId: 'rights' }, { clock, log })
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

    test('names the topic, group or id, and the missing right', { timeout: 60_000 }, async () => {
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

    test('outside transactions, names the topic, or says that it does not exist', { timeout: 60_000 }, async () => {
      const send = async (topic: string): Promise<string> => {
        const [outcome] = await transport.producer().send([{ ...record, topic }], OPEN)
        return outcome?.ok === false && isMillraceError(outcome.error) ? outcome.error.detail : ''
      }
      expect(await send('open')).toBe('')
      expect(await send('shut')).toMatch(/shut\/0 was refused.*TOPIC_AUTHORIZATION_FAILED.*right Write on the topic/)
      const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      const denied = {
        principal: 'User:ANONYMOUS',
        host: '*',
        permissionType: AclPermissionTypes.DENY,
        resourcePatternType: ResourcePatternTypes.LITERAL,
      }
      await admin.createAcls({
        acl: [
          { ...denied, resourceType: AclResourceTypes.TOPIC, resourceName: '*', operation: AclOperationTypes.WRITE },
          {
            ...denied,
            resourceType: AclResourceTypes.CLUSTER,
            resourceName: 'kafka-cluster',
            operation: AclOperationTypes.IDEMPOTENT_WRITE,
          },
        ],
      })
      await admin.disconnect()
      const detail = await eventually(async () => /no producer id/.test(await send('open')) && send('open'), {
        what: 'the rights to be gone',
      })
      expect(detail).toMatch(/CLUSTER_AUTHORIZATION_FAILED.*Write on a topic.*IdempotentWrite on the cluster/)
    })
  })
})

/** An unsigned token, as Kafka's built-in validator accepts it, valid for so many seconds. */
function token(seconds: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Date.now() / 1000
  return `${part({ alg: 'none' })}.${part({ sub: 'ann', iat: now - 120, exp: now + seconds })}.`
}

/** `TestCode: detail` of the thrown error. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return ''
  } catch (thrown) {
    return isMillraceError(thrown) ? `${thrown.code}: ${thrown.detail}` : toError(thrown).message
  }
}
