import { type Clock, type Logger, type Scheduled, toError } from '@millrace/core'
import type { TransportDeps } from '@millrace/core/driver'
import type { LmdbBackend } from '../durable/lmdb-backend.ts'
import { doubles, type LmdbContents } from '../durable/lmdb-contents.ts'
import { cleanupOf, numericSetting } from '../log/topic-settings.ts'
import { compactPartition } from './compact-partition.ts'
import type { StoredTopic } from '../log/log-backend.ts'

/** How often the log is checked for something to clean. */
const INTERVAL_MS = 10_000

/**
 * Compaction and retention of a log, in the background. Every process that has the log open has one; they take turns,
 * because no check is due until `INTERVAL_MS` after the last one of any of them.
 */
export class Housekeeper {
  readonly #backend: LmdbBackend
  readonly #clock: Clock
  readonly #log: Logger
  #timer: Scheduled | undefined
  #stopped = false

  constructor(backend: LmdbBackend, { clock, log }: TransportDeps) {
    this.#backend = backend
    this.#clock = clock
    this.#log = log
  }

  start(): void {
    this.#timer = this.#clock.schedule(INTERVAL_MS, () => void this.#check())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Compacts a topic now. */
  async compact(topic: string): Promise<void> {
    const partitions = this.#backend.read((contents) => contents.topic(topic)?.partitions ?? 0)
    for (let partition = 0; partition < partitions; partition++) {
      await compactPartition(
        this.#backend,
        { topic, partition },
        { now: this.#clock.now(), force: true, pause: () => this.#pause() },
      )
    }
  }

  async #check(): Promise<void> {
    try {
      if (await this.#isOurTurn()) await this.#clean()
    } catch (error) {
      if (!this.#stopped)
        this.#log.warn({ err: toError(error) }, 'Cleaning the local log failed; it is tried again later.')
    }
    if (!this.#stopped) this.start()
  }

  async #clean(): Promise<void> {
    const options = { now: this.#clock.now(), force: false, pause: () => this.#pause() }
    for (const topic of this.#backend.read((contents) => contents.topics())) {
      const { compacted, expires } = cleanupOf(topic)
      for (let partition = 0; partition < topic.partitions; partition++) {
        const at = { topic: topic.name, partition }
        if (expires) await expireRecords(this.#backend, at, options)
        if (compacted) await compactPartition(this.#backend, at, options)
      }
    }
  }

  #isOurTurn(): Promise<boolean> {
    return this.#backend.write('quiet', (contents) => {
      const now = this.#clock.now()
      const last = contents.fact(['last look'])?.readDoubleLE(0) ?? 0
      // A check in the future was made before the wall clock was set back.
      if (now - last < INTERVAL_MS / 2 && last <= now) return false
      contents.putFact(['last look'], doubles(now))
      return true
    })
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#stopped) throw new Error('The log is being closed.')
  }
}

const ROWS_A_STEP = 256

export interface ExpireOptions {
  readonly now: number
  readonly pause: () => Promise<void>
}

/** Deletes the rows that are older than the topic's `retention.ms`, in steps. -1 keeps all. */
export async function expireRecords(
  backend: LmdbBackend,
  { topic: name, partition }: { readonly topic: string; readonly partition: number },
  { now, pause }: ExpireOptions,
): Promise<void> {
  for (;;) {
    const found = backend.read((contents) => {
      const topic = contents.topic(name)
      return topic === undefined ? undefined : { topic, before: expiredBefore(contents, { topic, partition, now }) }
    })
    if (found?.before === undefined) return
    const { topic, before } = found
    await backend.write('quiet', (contents) => {
      if (contents.topic(name)?.id === topic.id) contents.deleteBefore(topic, partition, before)
    })
    await pause()
  }
}

/** The end of the first rows that are too old; `undefined` if there are none. */
function expiredBefore(
  contents: LmdbContents,
  { topic, partition, now }: { readonly topic: StoredTopic; readonly partition: number; readonly now: number },
): number | undefined {
  const retentionMs = numericSetting(topic, 'retention.ms')
  if (retentionMs < 0) return undefined
  const { start, end } = contents.bounds(topic, partition)
  let before = start
  for (let rows = 0; before < end && rows < ROWS_A_STEP; rows++) {
    const { span, appendedAt } = contents.frame(topic, partition, before)
    if (appendedAt >= now - retentionMs) break
    before += span
  }
  return before === start ? undefined : before
}
