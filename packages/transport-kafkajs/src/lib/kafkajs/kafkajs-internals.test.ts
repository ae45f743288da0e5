import { systemClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { kafkaSettings } from '../kafka-transport-options.ts'
import { kafkajsClient } from './kafkajs-client.ts'
import { requireInternals } from './kafkajs-internals.ts'

test('another kafkajs is refused by name', () => {
  expect(() => requireInternals(undefined)).toThrow(/Install kafkajs 2\.2\.4/)
  expect(() =>
    requireInternals({ rootLogger: {}, connectionPoolBuilder: {}, brokerPool: { createBroker: systemClock } }),
  ).toThrow(/works with kafkajs 2\.2\.4 only/)
})

test('the kafkajs that is installed is the one', () => {
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  expect(() =>
    kafkajsClient('localhost:9092', kafkaSettings({ brokers: ['localhost:9092'], clientId: 'x' }), {
      clock: systemClock(),
      log,
    }),
  ).not.toThrow()
})
