import type { BrokerLink } from '../kafkajs/broker-link.ts'
import { findCoordinatorRequest, type BrokerAddress } from '../wire/requests/cluster.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import type { ClusterAccess } from './cluster-view.ts'
import type { Right } from '../errors/kafka-errors.ts'
import { checkCode } from './retrying.ts'

/** The broker that coordinates a group or a transactional id. Looked up when needed, forgotten when it fails. */
export class CoordinatorLink {
  readonly #kind: 'group' | 'transaction'
  readonly #key: string
  readonly #cluster: ClusterAccess
  #address: BrokerAddress | undefined

  constructor(kind: 'group' | 'transaction', key: string, cluster: ClusterAccess) {
    this.#kind = kind
    this.#key = key
    this.#cluster = cluster
  }

  /** Sends once. After a rejection the next call looks the coordinator up again. */
  async send<T>(request: WireRequest<T>, timeoutMs?: number): Promise<T> {
    try {
      const link = await this.#link()
      return await link.send(request, timeoutMs)
    } catch (error) {
      this.forget()
      throw error
    }
  }

  /** Closes the connection: requests under way reject. */
  drop(): void {
    if (this.#address !== undefined) this.#cluster.links.ready(this.#address)?.close()
    this.forget()
  }

  /** Looks the coordinator up again before the next request. */
  forget(): void {
    this.#address = undefined
  }

  /** `checkCode` for answers of the coordinator. If the code says that it has moved, it is looked up again. */
  check(code: number, what: string, right: Right = 'Read'): void {
    try {
      checkCode(code, what, 'WORKER_FAILED', right)
    } catch (error) {
      this.forget()
      throw error
    }
  }

  async #link(): Promise<BrokerLink> {
    if (this.#address === undefined) {
      const found = await this.#cluster.view.ask(findCoordinatorRequest(this.#kind, this.#key))
      checkCode(
        found.errorCode,
        `The coordinator of ${this.#kind} "${this.#key}" could not be found.`,
        'WORKER_FAILED',
        this.#kind === 'group' ? 'Read' : 'Write',
      )
      this.#address = found
    }
    return this.#cluster.links.to(this.#address)
  }
}
