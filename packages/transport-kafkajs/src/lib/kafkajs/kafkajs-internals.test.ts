import { systemClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { kafkaSettings } from '../kafka-transport-options.ts'
import { kafkajsClient } from './kafkajs-client.ts'
import { requireInternals } from './kafkajs-internals.ts'

test('another version of kafkajs is refused with its name', () => {
  expect(() => requireInternals(undefined)).toThrow(/Install kafkajs 2\.2\.4/)
  expect(() =>
    requireInternals({ rootLogger: {}, connectionPoolBuilder: {}, brokerPool: { createBroker: systemClock } }),
  ).toThrow(/works with kafkajs 2\.2\.4 only/)
})

test('the installed kafkajs is the expected version', () => {
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  expect(() =>
    kafkajsClient('localhost:9092', kafkaSettings({ brokers: ['localhost:9092'], clientId: 'x' }), {
      clock: systemClock(),
      log,
    }),
  ).not.toThrow()
})
