import {
  type Clock,
  type Isolation,
  type Logger,
  partitionKey,
  type PartitionOffsets,
  type Scheduled,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { SourcePartition } from './source-partition.ts'

/** From one look at the ends of paused partitions to the next. */
const LOOK_INTERVAL_MS = 5000

export interface PausedEndsDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly isolation: Isolation
  readonly paused: () => readonly SourcePartition[]
  readonly offsets: (
    partitions: readonly TopicPartition[],
    isolation: Isolation,
  ) => Promise<readonly PartitionOffsets[]>
}

/**
 * The end of a partition comes with what is fetched of it. While it is paused nothing is, and the lag of a slow agent
 * would stand still as its topic grows: so the ends of paused partitions are asked for now and then. Runs only while there
 * are some.
 */
export class PausedEnds {
  readonly #deps: PausedEndsDeps
  #timer: Scheduled | undefined
  #looking = false
  #closed = false

  constructor(deps: PausedEndsDeps) {
    this.#deps = deps
  }

  /** A partition was paused. */
  readonly start = (): void => {
    if (this.#timer !== undefined || this.#looking || this.#closed) return
    this.#timer = this.#deps.clock.schedule(LOOK_INTERVAL_MS, () => {
      this.#timer = undefined
      void this.#look()
    })
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  async #look(): Promise<void> {
    const { paused, offsets, isolation, log } = this.#deps
    const sources = new Map(paused().map((source) => [partitionKey(source), source]))
    if (sources.size === 0) return
    this.#looking = true
    try {
      for (const found of await offsets([...sources.values()], isolation))
        sources.get(partitionKey(found))?.endSeen(found.end)
    } catch (thrown) {
      // The broker may be gone for a while; the other parts of the transport say so.
      log.debug({ error: toError(thrown).message }, 'The ends of paused partitions could not be looked at.')
    } finally {
      this.#looking = false
    }
    this.start()
  }
}
