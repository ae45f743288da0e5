import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Clock, MillraceError, toError, withTimeout } from '@millrace/core'
import type { TransportDeps } from '@millrace/core/driver'
import {
  Kafka,
  logLevel,
  type Cluster,
  type KafkaConfig,
  type LogEntry,
  type Mechanism,
  type SASLOptions,
} from 'kafkajs'
import type { KafkaSasl, KafkaSettings } from '../kafka-transport-options.ts'
import { requireInternals, type ClusterInternals } from './kafkajs-internals.ts'

const KEEP_ALIVE_MS = 60_000
/** How long before the end of a SASL session its connection logs in again. Kafka accepts that once a second. */
const LOGIN_AHEAD_MS = 2_000

export interface KafkajsClient {
  readonly cluster: ClusterInternals
  /** Destroys every socket of this client, even while it connects, so that requests waiting on them reject at once. */
  destroySockets(): void
}

/**
 * A kafkajs client for one connection. It has no retries of its own, because those would multiply with ours and cannot
 * be aborted. The only public access to its `Cluster` is the factory of a consumer's assigner.
 */
export function kafkajsClient(address: string, settings: KafkaSettings, deps: TransportDeps): KafkajsClient {
  const sockets = new Set<Socket>()
  const config: KafkaConfig = {
    brokers: [address],
    clientId: settings.clientId,
    ssl: settings.ssl,
    connectionTimeout: settings.connectionTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    reauthenticationThreshold: LOGIN_AHEAD_MS,
    retry: { retries: 0 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => deps.log.debug(fieldsOf(entry), `kafkajs: ${entry.log.message}`),
    socketFactory: ({ host, port, ssl, onConnect }) => {
      const serverName = isIP(host) === 0 ? { servername: host } : {}
      // The types of kafkajs do not say that ssl is undefined or false without TLS.
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
  if (settings.sasl !== undefined) config.sasl = saslOptions(settings.sasl, settings, deps)
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
      const closed = new Error('closed by the client')
      // kafkajs logs the stack, which is slow to format with source maps and holds no information here.
      closed.stack = closed.message
      for (const socket of sockets) socket.destroy(closed)
    },
  }
}

function saslOptions(
  sasl: KafkaSasl,
  { requestTimeoutMs }: KafkaSettings,
  { clock }: TransportDeps,
): SASLOptions | Mechanism {
  if (sasl.mechanism === 'oauthbearer') return oauthBearer(() => freshToken(sasl.token, requestTimeoutMs, clock))
  const withPassword: SASLOptions = { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password }
  return withPassword
}

function fieldsOf(entry: LogEntry): object {
  const { message: _message, timestamp: _timestamp, ...fields } = entry.log
  return { namespace: entry.namespace, ...fields }
}

/**
 * SASL OAUTHBEARER (RFC 7628) in place of kafkajs's own. That one takes a refusal of the broker, which arrives as an
 * answer without an error code, for a success, and then misreads the answer to the next request.
 *
 * Each connection requests a token when it opens, and again shortly before its last token expires.
 */
function oauthBearer(freshToken: () => Promise<string>): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: async () => {
        const token = await freshToken()
        const refusal = await saslAuthenticate({
          request: { encode: () => withLength(Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`)) },
          response: { decode: (answer) => answer, parse: (answer) => answer.subarray(4).toString('utf8') },
        })
        if (typeof refusal === 'string' && refusal !== '')
          throw new MillraceError(
            'AUTHENTICATION_FAILED',
            `${host}:${port} refused the token (kafka.sasl.token): ${refusal}.`,
          )
      },
    }),
  }
}

/** A token that is valid for some time; `limitMs` is the longest wait for it. */
async function freshToken(token: () => Promise<string>, limitMs: number, clock: Clock): Promise<string> {
  const failed = (how: string, cause?: unknown): MillraceError =>
    new MillraceError('AUTHENTICATION_FAILED', `The token provider (kafka.sasl.token) ${how}.`, { cause })
  // A provider that is not an async function may also throw.
  const given = (async () => token())().catch((error: unknown) => {
    throw failed(`failed: ${toError(error).message}`, error)
  })
  return withTimeout(given, limitMs, clock, () => failed(`gave no token within ${limitMs} ms`))
}

/** As bytes are in Kafka's protocol. */
function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
