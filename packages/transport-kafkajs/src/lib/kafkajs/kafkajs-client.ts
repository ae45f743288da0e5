import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Logger } from '@millrace/core'
import { Kafka, logLevel, type Cluster, type KafkaConfig, type LogEntry, type SASLOptions } from 'kafkajs'
import type { KafkaSasl, KafkaSettings } from '../kafka-transport-options.ts'
import { requireInternals, type ClusterInternals } from './kafkajs-internals.ts'

const KEEP_ALIVE_MS = 60_000

export interface KafkajsClient {
  readonly cluster: ClusterInternals
  /** Cuts every socket of this client, connecting ones too: requests waiting on them reject at once. */
  destroySockets(): void
}

/**
 * A kafkajs client for one connection. It is given no retries of its own: those would pile up under ours, and they
 * cannot be aborted. The only public way to its `Cluster` is the factory of a consumer's assigner.
 */
export function kafkajsClient(address: string, settings: KafkaSettings, log: Logger): KafkajsClient {
  const sockets = new Set<Socket>()
  const config: KafkaConfig = {
    brokers: [address],
    clientId: settings.clientId,
    ssl: settings.ssl,
    connectionTimeout: settings.connectionTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    retry: { retries: 0 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => log.debug(fieldsOf(entry), `kafkajs: ${entry.log.message}`),
    socketFactory: ({ host, port, ssl, onConnect }) => {
      const serverName = isIP(host) === 0 ? { servername: host } : {}
      // kafkajs's types leave out that ssl is undefined or false without TLS.
      const useTls: unknown = ssl
      const options = useTls === true ? {} : ssl
      const socket = useTls
        ? connectTls({ host, port, ...serverName, ...options }, onConnect)
        : connectTcp({ host, port }, onConnect)
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      return socket
    },
  }
  if (settings.sasl !== undefined) config.sasl = saslOptions(settings.sasl)
  let cluster: Cluster | undefined
  new Kafka(config).consumer({
    groupId: 'unused',
    partitionAssigners: [
      (handed) => {
        cluster = handed.cluster
        return {
          name: 'unused',
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: 'unused', metadata: Buffer.alloc(0) }),
        }
      },
    ],
  })
  return {
    cluster: requireInternals(cluster),
    destroySockets: () => {
      for (const socket of sockets) socket.destroy(new Error('closed by the client'))
    },
  }
}

function saslOptions(sasl: KafkaSasl): SASLOptions {
  if (sasl.mechanism === 'oauthbearer') {
    return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await sasl.token() }) }
  }
  return { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password }
}

function fieldsOf(entry: LogEntry): object {
  const { message: _message, timestamp: _timestamp, ...fields } = entry.log
  return { namespace: entry.namespace, ...fields }
}
