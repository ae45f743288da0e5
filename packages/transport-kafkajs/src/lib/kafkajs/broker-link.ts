import { isMillraceError, MillraceError, toError, withTimeout } from '@millrace/core'
import type { TransportDeps } from '@millrace/core/driver'
import type { BrokerHealth } from './broker-health.ts'
import { connectionError, openingError } from '../errors/connection-errors.ts'
import type { KafkaSettings } from '../kafka-transport-options.ts'
import type { BrokerAddress } from '../wire/requests/cluster.ts'
import { WireReader } from '../wire/wire-reader.ts'
import type { Api, WireRequest } from '../wire/wire-request.ts'
import { WireWriter } from '../wire/wire-writer.ts'
import { kafkajsClient, type KafkajsClient } from './kafkajs-client.ts'
import {
  requireBroker,
  requireConnection,
  type BrokerInternals,
  type ConnectionInternals,
} from './kafkajs-internals.ts'

export interface LinkDeps extends TransportDeps {
  /** Notified of connections that are lost. */
  readonly health: BrokerHealth
}

/**
 * One connection to one broker. Kafka answers a connection in order, so clients that must not wait for one another each
 * have their own. After a failure a link is finished: discard it and open another.
 */
export class BrokerLink {
  readonly address: BrokerAddress
  readonly #client: KafkajsClient
  readonly #connection: ConnectionInternals
  readonly #requestTimeoutMs: number
  readonly #clock: TransportDeps['clock']
  readonly #health: BrokerHealth
  #failed = false

  /** Use `openBrokerLink`. */
  constructor(
    address: BrokerAddress,
    client: KafkajsClient,
    connection: ConnectionInternals,
    { requestTimeoutMs, clock, health }: { readonly requestTimeoutMs: number } & Omit<LinkDeps, 'log'>,
  ) {
    this.address = address
    this.#client = client
    this.#connection = connection
    this.#requestTimeoutMs = requestTimeoutMs
    this.#clock = clock
    this.#health = health
  }

  /** False once a request has failed or the connection was lost. */
  get usable(): boolean {
    return !this.#failed && this.#connection.isConnected()
  }

  /**
   * Sends a request and returns the decoded answer. Rejects with `BROKER_UNREACHABLE` if the connection was lost, no
   * answer came in time or the answer cannot be read, and with any error of `encode`.
   */
  async send<T>(request: WireRequest<T>, timeoutMs: number = this.#requestTimeoutMs): Promise<T> {
    const { api } = request
    // kafkajs accepts no time-out below its own.
    const answer = await (timeoutMs < this.#requestTimeoutMs
      ? withTimeout(this.#exchange(request, timeoutMs), timeoutMs, this.#clock, () => this.#silent(api, timeoutMs))
      : this.#exchange(request, timeoutMs))
    const reader = new WireReader(answer)
    try {
      if (api.flexible === true) reader.skipTags()
      return request.decode(reader)
    } catch (thrown) {
      // Nothing further from this connection is trusted.
      const what = `its answer to ${api.name} cannot be read: ${reasonOf(thrown)}`
      throw this.#lost(
        new MillraceError('BROKER_UNREACHABLE', `${addressText(this.address)}: ${what}`, { cause: thrown }),
      )
    }
  }

  /** Rejects requests under way. */
  close(): void {
    this.#failed = true
    this.#client.destroySockets()
  }

  #silent({ name }: Api, timeoutMs: number): MillraceError {
    const text = addressText(this.address)
    return this.#lost(new MillraceError('BROKER_UNREACHABLE', `${text}: no answer to ${name} within ${timeoutMs} ms.`))
  }

  async #exchange<T>(request: WireRequest<T>, timeoutMs: number): Promise<Buffer> {
    const { api } = request
    let refusal: unknown
    try {
      return await this.#connection.send<Buffer>({
        request: {
          apiKey: api.key,
          apiVersion: api.version,
          apiName: api.name,
          encode: async () => {
            const writer = new WireWriter(request.sizeHint)
            // Flexible versions have a second version of the request header, which differs only by its tagged fields.
            if (api.flexible === true) writer.noTags()
            try {
              request.encode(writer)
            } catch (thrown) {
              refusal = thrown
              throw thrown
            }
            const bytes = writer.bytes()
            return { buf: bytes, buffer: bytes }
          },
        },
        response: {
          decode: async (payload) => ({ clientSideThrottleTime: null, value: payload }),
          parse: async ({ value }) => value,
        },
        requestTimeout: timeoutMs,
        logResponseError: false,
      })
    } catch (error) {
      // Nothing was sent, so the connection is still usable.
      if (refusal !== undefined) throw refusal
      throw this.#lost(connectionError(error, addressText(this.address)))
    }
  }

  #lost(error: MillraceError): MillraceError {
    // Not reported if this side has closed the connection.
    if (!this.#failed) this.#health.failed(addressText(this.address), error.detail)
    this.close()
    return error
  }
}

/**
 * Connects and authenticates. Rejects with `BROKER_UNREACHABLE` or `AUTHENTICATION_FAILED`. `onOpening` receives a
 * function that aborts the attempt.
 */
export async function openBrokerLink(
  address: BrokerAddress,
  settings: KafkaSettings,
  deps: LinkDeps,
  onOpening: (abort: () => void) => void,
): Promise<{ link: BrokerLink; versions: BrokerInternals['versions'] }> {
  const text = addressText(address)
  const client = kafkajsClient(text, settings, deps)
  onOpening(client.destroySockets)
  try {
    const connectionPool = await client.cluster.connectionPoolBuilder.build({ host: address.host, port: address.port })
    const connection = requireConnection(connectionPool)
    const broker = requireBroker(
      client.cluster.brokerPool.createBroker({
        connectionPool,
        logger: client.cluster.rootLogger,
        nodeId: address.nodeId,
      }),
    )
    await broker.connect()
    const { requestTimeoutMs } = settings
    return {
      link: new BrokerLink(address, client, connection, { requestTimeoutMs, ...deps }),
      versions: broker.versions,
    }
  } catch (error) {
    client.destroySockets()
    throw openingError(error, text, settings.ssl !== false)
  }
}

function reasonOf(thrown: unknown): string {
  return isMillraceError(thrown) ? thrown.detail : toError(thrown).message
}

export function addressText(address: BrokerAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
