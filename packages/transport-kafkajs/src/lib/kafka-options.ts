import type { ResolvedSettings } from '@millrace/core'
import type { KafkaSasl, KafkaTransportOptions } from './kafka-transport-options.ts'

/** The settings as the driver takes them. `resolveSettings` has refused incomplete ones. */
export function kafkaOptions(settings: ResolvedSettings, brokers: readonly string[]): KafkaTransportOptions {
  const { kafka } = settings
  const sasl = saslOf(kafka.sasl)
  return {
    brokers,
    clientId: settings.id,
    ssl: sslOf(kafka.ssl),
    ...(sasl === undefined ? {} : { sasl }),
    compression: kafka.compression,
    connectionTimeoutMs: kafka.connectionTimeoutMs,
    requestTimeoutMs: kafka.requestTimeoutMs,
    maxFetchBytes: kafka.maxFetchBytes,
    maxFetchWaitMs: kafka.maxFetchWaitMs,
    maxRequestBytes: kafka.maxRequestBytes,
    maxBatchBytes: kafka.maxBatchBytes,
    maxUnpackedBytes: settings.maxBatchBytes,
  }
}

function sslOf({
  enabled,
  ...given
}: ResolvedSettings['kafka']['ssl']): Exclude<KafkaTransportOptions['ssl'], undefined> {
  if (!enabled) return false
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function saslOf({ mechanism, username, password, token }: ResolvedSettings['kafka']['sasl']): KafkaSasl | undefined {
  if (mechanism === undefined) return undefined
  if (mechanism === 'oauthbearer') return token === undefined ? undefined : { mechanism, token }
  return { mechanism, username: username ?? '', password: password ?? '' }
}
