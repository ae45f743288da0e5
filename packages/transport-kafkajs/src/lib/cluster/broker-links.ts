import { isMillraceError, MillraceError } from '@millrace/core'
import type { KafkaSettings } from '../kafka-transport-options.ts'
import { addressText, openBrokerLink, type BrokerLink, type LinkDeps } from '../kafkajs/broker-link.ts'
import type { BrokerAddress } from '../wire/requests/cluster.ts'
import { APIS, type Api } from '../wire/wire-request.ts'

const QUESTION_LIMIT_MS = 5_000

/** The connections of one client (a consumer's fetches, a producer, …): at most one per broker, opened when needed. */
export class BrokerLinks {
  readonly #settings: KafkaSettings
  readonly #deps: LinkDeps
  readonly #links = new Map<string, Promise<BrokerLink>>()
  readonly #open = new Map<string, BrokerLink>()
  readonly #aborts = new Set<() => void>()
  #closed = false

  constructor(settings: KafkaSettings, deps: LinkDeps) {
    this.#settings = settings
    this.#deps = deps
  }

  /**
   * The longest wait for an answer that needs no work, so that one hanging broker does not keep others from being
   * asked.
   */
  get questionLimitMs(): number {
    return Math.min(this.#settings.requestTimeoutMs, QUESTION_LIMIT_MS)
  }

  /** The link if it is open and usable; saves loops a promise. */
  ready(address: BrokerAddress): BrokerLink | undefined {
    const link = this.#open.get(addressText(address))
    return link?.usable === true ? link : undefined
  }

  /** An open link to that broker; rejects with `BROKER_UNREACHABLE`, `BROKER_UNSUPPORTED`, `AUTHENTICATION_FAILED` or `CLOSED`. */
  async to(address: BrokerAddress): Promise<BrokerLink> {
    const key = addressText(address)
    const open = this.#open.get(key)
    if (open !== undefined) {
      if (open.usable) return open
      open.close()
      this.#open.delete(key)
      this.#links.delete(key)
    }
    let opening = this.#links.get(key)
    if (opening === undefined) {
      opening = this.#connect(address)
      this.#links.set(key, opening)
    }
    try {
      return await opening
    } catch (error) {
      if (this.#links.get(key) === opening) this.#links.delete(key)
      throw error
    }
  }

  close(): void {
    this.#closed = true
    for (const link of this.#open.values()) link.close()
    for (const abort of this.#aborts) abort()
    this.#links.clear()
    this.#open.clear()
  }

  async #connect(address: BrokerAddress): Promise<BrokerLink> {
    if (this.#closed) throw closedError()
    let abortOpening: () => void = () => {}
    try {
      const { link, versions } = await openBrokerLink(address, this.#settings, this.#deps, (abort) => {
        abortOpening = abort
        this.#aborts.add(abort)
      })
      if (this.#closed) {
        link.close()
        throw closedError()
      }
      const unsupported = unsupportedBroker(versions)
      if (unsupported !== undefined) {
        link.close()
        throw new MillraceError('BROKER_UNSUPPORTED', `${addressText(address)} ${unsupported}.`)
      }
      this.#open.set(addressText(address), link)
      this.#deps.health.answered(addressText(address))
      return link
    } catch (error) {
      if (this.#closed) throw closedError()
      if (isMillraceError(error, 'BROKER_UNREACHABLE', 'AUTHENTICATION_FAILED'))
        this.#deps.health.failed(addressText(address), error.detail)
      throw error
    } finally {
      this.#aborts.delete(abortOpening)
    }
  }
}

function closedError(): MillraceError {
  return new MillraceError('CLOSED', 'The connection to Kafka is closed.')
}

/** The versions that a broker supports, by the key of the request. */
export type BrokerVersions = Readonly<
  Record<number, { readonly minVersion: number; readonly maxVersion: number } | undefined>
>

/** Why this driver cannot talk to a broker, as a text that follows its address; `undefined` if it can. */
export function unsupportedBroker(versions: BrokerVersions | null): string | undefined {
  const range = ({ key }: Api): { readonly minVersion: number; readonly maxVersion: number } =>
    versions?.[key] ?? { minVersion: 0, maxVersion: -1 }
  const tooOld = Object.values(APIS).find((api) => range(api).maxVersion < api.version)
  if (tooOld !== undefined)
    return `has no ${tooOld.name} request of version ${tooOld.version}: Kafka 2.8 or later is needed`
  const tooNew = Object.values(APIS).find((api) => range(api).minVersion > api.version)
  if (tooNew !== undefined)
    return `supports ${tooNew.name} requests only from version ${range(tooNew).minVersion} on, and this release sends ${tooNew.version}`
  return undefined
}
