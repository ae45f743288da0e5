import type { ResolvedSettings } from '@millrace/core'
import type { KafkaSasl, KafkaTransportOptions } from '@millrace/transport-kafkajs'

/** The TLS and SASL settings as the driver takes them. `resolveSettings` has refused incomplete ones. */
export function kafkaSecurity({ kafka }: ResolvedSettings): Pick<KafkaTransportOptions, 'ssl' | 'sasl'> {
  const sasl = saslOf(kafka.sasl)
  return { ssl: sslOf(kafka.ssl), ...(sasl === undefined ? {} : { sasl }) }
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
