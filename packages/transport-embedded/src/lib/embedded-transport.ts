import { withinLimit } from '@millrace/core'
import type { TransportDeps } from '@millrace/core/driver'
import { expireMembers } from './log/group-state.ts'
import { Housekeeper } from './maintenance/housekeeper.ts'
import { Lifespan } from './log/lifespan.ts'
import { LogTransport } from './clients/log-transport.ts'
import { isHostDead, newHostName } from './durable/host-name.ts'
import { LmdbBackend } from './durable/lmdb-backend.ts'
import type { Durability } from './durable/marker-file.ts'

const CLOSE_LIMIT_MS = 5000

export interface EmbeddedTransportOptions {
  /** The directory of the log, on a local disk. Created if it is missing; several processes may use it at once. */
  readonly directory: string
  /**
   * The durability of a new log; `disk` by default. An existing log keeps its own, and a different value here is
   * `LOG_UNUSABLE`.
   */
  readonly durability?: Durability
}

/** The transport of `createEmbeddedTransport`. */
export class EmbeddedTransport extends LogTransport {
  readonly #backend: LmdbBackend
  readonly #deps: TransportDeps
  readonly #host: string
  readonly #housekeeper: Housekeeper

  constructor(options: EmbeddedTransportOptions, deps: TransportDeps) {
    const { clock, log } = deps
    const backend = new LmdbBackend(options, deps)
    const host = newHostName()
    super(
      { name: 'embedded', durable: true, shared: true, uncommittedVisible: false, sessions: true },
      { backend, clock, log, lifespan: new Lifespan('transport'), host, isHostDead },
    )
    this.#backend = backend
    this.#deps = deps
    this.#housekeeper = new Housekeeper(backend, deps)
    this.#host = host
  }

  override async connect(options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void> {
    await super.connect(options)
    await this.#backend.open(options.timeoutMs)
    this.#housekeeper.start()
  }

  /**
   * For tests: ends it as abruptly as a transport of a living process can end. Its members stay in their groups until
   * their sessions run out.
   */
  override kill(): void {
    super.kill()
    this.#housekeeper.stop()
    void this.#backend.close()
  }

  /** For tests: removes its members from their groups, as if their sessions had run out. */
  async expire(): Promise<void> {
    await this.#backend.write('groups', (log) => expireMembers(log, { host: this.#host }))
  }

  /**
   * Compacts a topic now, whatever its settings; topics with `cleanup.policy=compact` are also compacted in the
   * background.
   */
  compact(topic: string): Promise<void> {
    return this.#housekeeper.compact(topic)
  }

  override async close(): Promise<void> {
    this.#housekeeper.stop()
    await withinLimit(this.#deps.clock, CLOSE_LIMIT_MS, super.close())
    await this.#backend.close()
  }
}

/**
 * A transport on a durable log in a directory, shared by all processes that name the same one. `connect` rejects with
 * `LOG_UNUSABLE`, `LOG_VERSION` or `LOG_CORRUPT`.
 *
 * @example
 * const transport = createEmbeddedTransport({ directory: '.millrace' }, { clock: systemClock(), log: logger })
 * await transport.connect({ timeoutMs: 5000 })
 */
export function createEmbeddedTransport(options: EmbeddedTransportOptions, deps: TransportDeps): EmbeddedTransport {
  return new EmbeddedTransport(options, deps)
}
