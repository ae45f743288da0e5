import { randomUUID } from 'node:crypto'
import type { TransportDeps } from '@millrace/core/driver'
import { Lifespan } from './log/lifespan.ts'
import { LogTransport } from './clients/log-transport.ts'
import { HeardBackend } from './memory/heard-backend.ts'
import type { MemoryLog } from './memory/memory-log.ts'

/** A transport on a memory log, with failures for tests. */
export class MemoryTransport extends LogTransport {
  /** Names this transport in the groups' states. */
  readonly host: string
  readonly #log: MemoryLog
  readonly #backend: HeardBackend

  /** See `createMemoryTransport`. */
  constructor(log: MemoryLog, { clock, log: logger }: TransportDeps) {
    const host = randomUUID()
    const backend = new HeardBackend(log.backend)
    super(
      { name: 'memory', durable: false, shared: false, uncommittedVisible: false, sessions: false },
      {
        backend,
        clock,
        log: logger,
        lifespan: new Lifespan('transport'),
        host,
        isHostDead: undefined,
      },
    )
    this.host = host
    this.#log = log
    this.#backend = backend
  }

  /**
   * Ends it as kill -9 ends a process: nothing of it happens any more, calls under way never settle, and its members
   * leave their groups at once. Static members stay in theirs until they return or `log.expire` is called.
   */
  override kill(): void {
    super.kill()
    this.#log.expire({ host: this.host, keepStatic: true })
  }

  /**
   * Cuts its members off from their groups until the returned function is called, as in a slow process: their requests
   * arrive, but they get neither answers nor news of others.
   */
  deafen(): () => void {
    return this.#backend.deafen()
  }

  /** Removes its members from their groups as if their sessions had run out; they get `onLost` and join again. */
  expire(): void {
    this.#log.expire({ host: this.host })
  }
}

/**
 * A transport on `log`. Several on one log see each other's records and groups.
 *
 * @example
 * const transport = createMemoryTransport(createMemoryLog(), { clock: systemClock(), log: logger })
 * await transport.connect({ timeoutMs: 1000 })
 */
export function createMemoryTransport(log: MemoryLog, deps: TransportDeps): MemoryTransport {
  return new MemoryTransport(log, deps)
}
