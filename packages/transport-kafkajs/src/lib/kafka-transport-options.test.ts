import { resolveSettings, type AppSettings } from '@millrace/core'
import { expect, test } from 'vitest'
import { kafkaOptions } from './kafka-transport-options.ts'

const optionsFor = (
  kafka: AppSettings['kafka'],
  env: Readonly<Record<string, string>> = {},
): ReturnType<typeof kafkaOptions> =>
  kafkaOptions(resolveSettings({ argument: { id: 'shop', kafka }, env }), ['kafka-1:9092'])

test('every setting of a Kafka connection reaches the driver, from the app file and from the environment', () => {
  const given = {
    compression: 'zstd',
    connectionTimeout: '3s',
    requestTimeout: '20s',
    maxFetchBytes: '8mb',
    maxFetchWait: '200ms',
    maxRequestBytes: '2mb',
  } as const
  expect(optionsFor(given, { MILLRACE_KAFKA_MAX_BATCH_BYTES: '512kb', MILLRACE_MAX_BATCH_BYTES: '16mb' })).toEqual({
    brokers: ['kafka-1:9092'],
    clientId: 'shop',
    ssl: false,
    compression: 'zstd',
    connectionTimeoutMs: 3000,
    requestTimeoutMs: 20_000,
    maxFetchBytes: 8 << 20,
    maxFetchWaitMs: 200,
    maxRequestBytes: 2 << 20,
    maxBatchBytes: 512 << 10,
    maxUnpackedBytes: 16 << 20,
  })
})

test("without any settings the driver's own defaults apply", () => {
  expect(optionsFor(undefined)).toMatchObject({
    compression: 'none',
    connectionTimeoutMs: 5000,
    requestTimeoutMs: 30_000,
    maxFetchBytes: 4 << 20,
    maxFetchWaitMs: 100,
    maxRequestBytes: 4 << 20,
    maxBatchBytes: 900_000,
  })
})
