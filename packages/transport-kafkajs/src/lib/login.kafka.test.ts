import { systemClock, type Logger } from '@millrace/core'
import { describeOwnKafka } from '@millrace/kafka-for-tests'
import { describe, expect, test } from 'vitest'
import type { KafkaSasl } from './kafka-transport-options.ts'
import { createKafkaTransport } from './kafka-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const USER = { username: 'ann', password: 'correct' }

describeOwnKafka('logging in', { sasl: USER }, (kafka) => {
  const connect = async (sasl: KafkaSasl | undefined, ssl = false): Promise<number> => {
    const transport = createKafkaTransport(
      { brokers: kafka.saslBrokers.split(','), clientId: 'login', ssl, ...(sasl === undefined ? {} : { sasl }) },
      { clock: systemClock(), log: silent },
    )
    try {
      await transport.connect({ timeoutMs: 4_000 })
      return (await transport.admin().topics()).length
    } finally {
      await transport.close()
    }
  }

  describe.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s', (mechanism) => {
    test('lets the right password in', async () => {
      expect(await connect({ mechanism, ...USER })).toBe(0)
    })

    test('a wrong password is AUTHENTICATION_FAILED, at once', async () => {
      const started = performance.now()
      await expect(connect({ mechanism, username: 'ann', password: 'wrong' })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        detail: expect.stringContaining(kafka.saslBrokers),
      })
      expect(performance.now() - started).toBeLessThan(3_000)
    })
  })

  test('a mechanism that the broker does not offer is AUTHENTICATION_FAILED', async () => {
    await expect(connect({ mechanism: 'oauthbearer', token: async () => 'token' })).rejects.toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    })
  })

  test('TLS to a port without it does not connect', async () => {
    await expect(connect({ mechanism: 'plain', ...USER }, true)).rejects.toMatchObject({
      code: expect.stringMatching(/AUTHENTICATION_FAILED|BROKER_UNREACHABLE/),
    })
  })
})
