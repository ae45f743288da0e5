import { MillraceError } from '@millrace/core'

/**
 * What the driver uses of kafkajs 2.2.4 outside its published types: connections, with TLS, SASL and the matching of
 * answers to requests. All use of it is in this folder, and `requireInternals` checks the shape before anything is
 * sent, so that another version of kafkajs fails at the start with a clear error.
 */
export interface ClusterInternals {
  readonly connectionPoolBuilder: {
    build(address: { readonly host: string; readonly port: number }): Promise<ConnectionPoolInternals>
  }
  readonly brokerPool: {
    createBroker(options: {
      readonly connectionPool: ConnectionPoolInternals
      readonly logger: unknown
      readonly nodeId: number
    }): BrokerInternals
  }
  readonly rootLogger: unknown
}

export interface ConnectionPoolInternals {
  /** The driver uses the first connection; the second, which kafkajs keeps for Fetch requests, stays unused. */
  readonly pool: readonly ConnectionInternals[]
}

export interface ConnectionInternals {
  isConnected(): boolean
  send<T>(exchange: ExchangeInternals<T>): Promise<T>
}

export interface BrokerInternals {
  /** Connects the first connection of the pool, learns the broker's versions and authenticates. */
  connect(): Promise<void>
  readonly versions: Readonly<
    Record<number, { readonly minVersion: number; readonly maxVersion: number } | undefined>
  > | null
}

/** A request in the form that kafkajs sends; `buf` and `buffer` are what its own encoder offers. */
export interface ExchangeInternals<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
  }
  readonly response: {
    decode(payload: Buffer): Promise<{ readonly clientSideThrottleTime: number | null; readonly value: T }>
    parse(decoded: { readonly value: T }): Promise<T>
  }
  readonly requestTimeout: number
  readonly logResponseError: boolean
}

/** The cluster behind a kafkajs client, or an error when this is not the kafkajs that the driver knows. */
export function requireInternals(cluster: object | undefined): ClusterInternals {
  if (cluster !== undefined && hasInternals(cluster)) return cluster
  throw unexpected('its Cluster has no connectionPoolBuilder.build, brokerPool.createBroker or rootLogger')
}

/** The one connection of a pool that the driver uses. */
export function requireConnection({ pool: [connection] }: ConnectionPoolInternals): ConnectionInternals {
  if (connection !== undefined && hasMethods(connection, 'send', 'isConnected')) return connection
  throw unexpected('its ConnectionPool has no pool of connections with send and isConnected')
}

/** Checks a broker object before it is used. */
export function requireBroker(broker: BrokerInternals): BrokerInternals {
  if (hasMethods(broker, 'connect') && 'versions' in broker) return broker
  throw unexpected('its Broker has no connect or versions')
}

function hasInternals(cluster: object): cluster is ClusterInternals {
  return (
    'rootLogger' in cluster &&
    'connectionPoolBuilder' in cluster &&
    hasMethods(cluster.connectionPoolBuilder, 'build') &&
    'brokerPool' in cluster &&
    hasMethods(cluster.brokerPool, 'createBroker')
  )
}

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return (
    typeof value === 'object' && value !== null && names.every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

function unexpected(difference: string): MillraceError {
  return new MillraceError(
    'DEFINITION_INVALID',
    `transport-kafkajs works with kafkajs 2.2.4 only, but another kafkajs was found: ${difference}. Install kafkajs 2.2.4.`,
  )
}
