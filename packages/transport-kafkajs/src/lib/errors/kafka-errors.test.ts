import { expect, test } from 'vitest'
import { connectionError, openingError } from './connection-errors.ts'
import { isMembershipLost, isRetriable, kafkaError } from './kafka-errors.ts'

test('permanent codes become errors of Millrace that name what Kafka answered', () => {
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

test('codes that are temporary, and codes that lose membership', () => {
  expect([5, 6, 14, 15, 16, 51, 88].every(isRetriable)).toBe(true)
  expect([0, 10, 22, 47, 9999].some(isRetriable)).toBe(false)
  expect([22, 25, 82].every(isMembershipLost)).toBe(true)
  expect(isMembershipLost(27)).toBe(false)
})

test('refused credentials and certificates give another error than an unreachable broker', () => {
  const coded = (code: string): Error => Object.assign(new Error(`failed with ${code}`), { code })
  expect(connectionError(coded('ECONNREFUSED'), 'a:1')).toMatchObject({
    code: 'BROKER_UNREACHABLE',
    detail: 'a:1: failed with ECONNREFUSED.',
  })
  const trouble: readonly (readonly [code: string, setting: RegExp])[] = [
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /kafka\.ssl\.ca /],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /kafka\.ssl\.ca /],
    ['CERT_HAS_EXPIRED', /not valid today/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /kafka\.ssl\.servername/],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /kafka\.ssl\.cert and kafka\.ssl\.key/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /kafka\.ssl/],
  ]
  for (const [code, setting] of trouble) {
    const error = connectionError(coded(code), 'a:1')
    expect(error.code).toBe('AUTHENTICATION_FAILED')
    expect(error.detail).toMatch(/^a:1: /)
    expect(error.detail).toMatch(setting)
  }
  expect(
    connectionError(Object.assign(new Error('no'), { name: 'KafkaJSSASLAuthenticationError' }), 'a:1'),
  ).toMatchObject({ code: 'AUTHENTICATION_FAILED', detail: 'a:1 refused the login (kafka.sasl): no.' })
})

test('a connection that ends while it is opened suggests the wrong kind of port; a refused one does not', () => {
  expect(openingError(new Error('Closed connection'), 'a:1', false).detail).toContain('turn kafka.ssl on')
  expect(openingError(new Error('Closed connection'), 'a:1', true).detail).toContain('turn kafka.ssl off')
  const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' })
  expect(openingError(refused, 'a:1', false).detail).toBe('a:1: no.')
  const silent = Object.assign(new Error('timed out'), { name: 'KafkaJSRequestTimeoutError' })
  expect(openingError(silent, 'a:1', false).detail).toBe('a:1: timed out.')
})

test('a refusal for a missing right names the right and the resource', () => {
  const detail = (code: number): string => kafkaError(code, 'No.', 'WORKER_FAILED', 'Read').detail
  expect(detail(29)).toBe(
    'No. Kafka answered TOPIC_AUTHORIZATION_FAILED. The user of the app needs the right Read on the topic.',
  )
  expect(detail(30)).toMatch(/needs the right Read on the group\.$/)
  expect(detail(53)).toMatch(/needs the right Read on the transactional id\.$/)
  expect(detail(10)).toBe('No. Kafka answered MESSAGE_TOO_LARGE.')
  expect(kafkaError(29, 'No.', 'WORKER_FAILED', 'Describe').detail).toMatch(
    /Describe on the topic, which Read and Write/,
  )
})
