import { toError, type Clock, type Logger, type Scheduled } from '@millrace/core'
import type { LmdbBackend } from '../durable/lmdb-backend.ts'
import { cleanupOf } from '../log/topic-settings.ts'
import { compactPartition } from './compact-partition.ts'
import { expireRecords } from './expire-records.ts'

/** How often somebody looks whether there is something to clean. */
const INTERVAL_MS = 10_000

export interface HousekeeperDeps {
  readonly backend: LmdbBackend
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Compaction and retention of a log, in the background. Every process that has the log open has one; they take turns,
 * because a look is due for nobody until `INTERVAL_MS` after the last one of anybody.
 */
export class Housekeeper {
  readonly #deps: HousekeeperDeps
  #timer: Scheduled | undefined
  #stopped = false

  constructor(deps: HousekeeperDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#timer = this.#deps.clock.schedule(INTERVAL_MS, () => void this.#look())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Compacts a topic now. */
  async compact(topic: string): Promise<void> {
    const { backend, clock } = this.#deps
    const partitions = backend.look((contents) => contents.topic(topic)?.partitions ?? 0)
    for (let partition = 0; partition < partitions; partition++) {
      await compactPartition(
        backend,
        { topic, partition },
        { now: clock.now(), force: true, pause: () => this.#pause() },
      )
    }
  }

  async #look(): Promise<void> {
    const { log } = this.#deps
    try {
      if (await this.#isOurTurn()) await this.#clean()
    } catch (error) {
      if (!this.#stopped) log.warn({ err: toError(error) }, 'Cleaning the local log failed; it is tried again later.')
    }
    if (!this.#stopped) this.start()
  }

  async #clean(): Promise<void> {
    const { backend, clock } = this.#deps
    const options = { now: clock.now(), force: false, pause: () => this.#pause() }
    for (const topic of backend.look((contents) => contents.topics())) {
      const { compacted, expires } = cleanupOf(topic)
      for (let partition = 0; partition < topic.partitions; partition++) {
        const at = { topic: topic.name, partition }
        if (expires) await expireRecords(backend, at, options)
        if (compacted) await compactPartition(backend, at, options)
      }
    }
  }

  #isOurTurn(): Promise<boolean> {
    const { backend, clock } = this.#deps
    return backend.change('quiet', (contents) => {
      const now = clock.now()
      const last = contents.fact(['last look'])?.readDoubleLE(0) ?? 0
      // A look in the future was made before the wall clock was set back.
      if (now - last < INTERVAL_MS / 2 && last <= now) return false
      const row = Buffer.alloc(8)
      row.writeDoubleLE(now, 0)
      contents.putFact(['last look'], row)
      return true
    })
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#stopped) throw new Error('The log is being closed.')
  }
}
