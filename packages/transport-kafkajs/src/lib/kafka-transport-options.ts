import type { ConnectionOptions } from 'node:tls'
import type { ResolvedSettings } from '@millrace/core'
import type { CompressionName } from './compression/compression.ts'

/** How to log in. `token` of oauthbearer is called for a fresh token whenever a connection needs one. */
export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: () => Promise<string> }

export interface KafkaTransportOptions {
  /** `host:port` of one or more brokers; the others are discovered through them. */
  readonly brokers: readonly string[]
  /** Shown in the broker's logs and quotas. */
  readonly clientId: string
  /** `true` for TLS with the system's certificates, or Node's TLS options. Default: no TLS. */
  readonly ssl?: boolean | ConnectionOptions
  readonly sasl?: KafkaSasl
  /** Compression of produced batches. Default 'none'. Consumed batches may use any codec that is installed. */
  readonly compression?: CompressionName
  /** A request without an answer for this long counts as lost, together with its connection. Default 30,000. */
  readonly requestTimeoutMs?: number
  /** Longest wait for a TCP or TLS connection. Default 5,000. */
  readonly connectionTimeoutMs?: number
  /**
   * The most bytes of one fetch over all partitions of a broker. The first batch comes whole even if it is larger.
   * Default 4 MB.
   */
  readonly maxFetchBytes?: number
  /**
   * The longest time that a broker waits for a first byte, which bounds how fast `resume` and `seek` take effect.
   * Values from 50 to 200 are sensible. Default 100.
   */
  readonly maxFetchWaitMs?: number
  /**
   * Whether to verify the checksums of fetched batches. A batch that does not match is fetched again, and is
   * `BATCH_CORRUPT` if that does not help. Verification costs 0.7 ms per MB: 75 ns for a record of 100 bytes, of the
   * 3,000 ns that an app takes to count it by key. A bare reader falls from 4.5 to 3.4 million such records a second.
   * Default true.
   */
  readonly verifyChecksums?: boolean
  /**
   * The most bytes to which one fetched batch may unpack. A larger one is `BATCH_TOO_LARGE`, found before its bytes are
   * allocated. Batches are unpacked one at a time, and off the event loop from 1 MB on. Default 64 MB.
   */
  readonly maxUnpackedBytes?: number
  /** The most bytes of one Produce request over all partitions. Default 4 MB. */
  readonly maxRequestBytes?: number
  /**
   * The most bytes of one partition's batch before compression; larger records go alone. Default 900,000, for a
   * broker's default limit of 1 MB.
   */
  readonly maxBatchBytes?: number
}

/** The options with every default filled in. */
export interface KafkaSettings extends Omit<Required<KafkaTransportOptions>, 'sasl'> {
  readonly sasl?: KafkaSasl
}

export function kafkaSettings(options: KafkaTransportOptions): KafkaSettings {
  return {
    ssl: false,
    compression: 'none',
    requestTimeoutMs: 30_000,
    connectionTimeoutMs: 5_000,
    maxFetchBytes: 4 << 20,
    maxFetchWaitMs: 100,
    verifyChecksums: true,
    maxUnpackedBytes: 64 << 20,
    maxRequestBytes: 4 << 20,
    maxBatchBytes: 900_000,
    ...options,
  }
}

/** The settings in the form that the driver takes. `resolveSettings` has refused incomplete ones. */
export function kafkaOptions(settings: ResolvedSettings, brokers: readonly string[]): KafkaTransportOptions {
  const { ssl, sasl: login, ...kafka } = settings.kafka
  const sasl = saslOf(login)
  return {
    ...kafka,
    brokers,
    clientId: settings.id,
    ssl: sslOf(ssl),
    ...(sasl === undefined ? {} : { sasl }),
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
