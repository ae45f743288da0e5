import { expect, test } from 'vitest'
import { connectionError } from './connection-errors.ts'
import { isMembershipLost, isRetriable, kafkaError } from './kafka-errors.ts'

test('codes that are for good become errors of Millrace that name what Kafka said', () => {
  expect(kafkaError(10, 'A record for a/0 was refused.')).toMatchObject({
    code: 'RECORD_TOO_LARGE',
    detail: 'A record for a/0 was refused. Kafka answered MESSAGE_TOO_LARGE.',
  })
  expect(kafkaError(47, 'x')).toMatchObject({ code: 'PRODUCER_FENCED' })
  expect(kafkaError(90, 'x')).toMatchObject({ code: 'PRODUCER_FENCED' })
  expect(kafkaError(29, 'x')).toMatchObject({ code: 'NOT_AUTHORIZED' })
  expect(kafkaError(25, 'x')).toMatchObject({ code: 'MEMBER_FENCED' })
  expect(kafkaError(9999, 'x', 'TOPIC_INVALID')).toMatchObject({
    code: 'TOPIC_INVALID',
    detail: 'x Kafka answered error 9999.',
  })
})

test('what passes and what loses membership', () => {
  expect([5, 6, 14, 15, 16, 51, 88].every(isRetriable)).toBe(true)
  expect([0, 10, 22, 47, 9999].some(isRetriable)).toBe(false)
  expect([22, 25, 82].every(isMembershipLost)).toBe(true)
  expect(isMembershipLost(27)).toBe(false)
})

test('connections: credentials and certificates are another error than a broker that is away', () => {
  const coded = (code: string): Error => Object.assign(new Error(`failed with ${code}`), { code })
  expect(connectionError(coded('ECONNREFUSED'), 'a:1')).toMatchObject({
    code: 'BROKER_UNREACHABLE',
    detail: 'a:1: failed with ECONNREFUSED.',
  })
  expect(connectionError(coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'a:1')).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
  expect(
    connectionError(Object.assign(new Error('no'), { name: 'KafkaJSSASLAuthenticationError' }), 'a:1'),
  ).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
})
