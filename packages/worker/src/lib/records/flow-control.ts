import { byPartition, partitionKey, type Scheduled, toError } from '@millrace/core'
import type { Admin, Consumer } from '@millrace/core/driver'
import { NOT_NOW } from '../environment/not-now.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { SourceFlow, SourcePartition } from './source-partition.ts'

/** How often the broker is asked for the ends of paused partitions. */
const ENDS_INTERVAL_MS = 5000

export type PauseReason = 'buffer' | 'uncommitted'

/**
 * Decides which source partitions are fetched. Each may hold its share of the buffer, or more while the whole buffer
 * has room. So a slow agent fills only its own share, and never delays another topic. The bound is exceeded by one
 * fetch per partition at most.
 *
 * The end of a partition comes with its fetched batches, and a paused partition gets none. Without further requests the
 * lag of a slow agent would stand still while its topic grows, so the broker is asked for the ends of paused partitions
 * from time to time.
 */
export class FlowControl implements SourceFlow {
  readonly #environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>
  readonly #consumer: Pick<Consumer, 'pause' | 'resume'>
  readonly #admin: Pick<Admin, 'offsets'>
  readonly #sources = new Set<SourcePartition>()
  readonly #paused = new Map<SourcePartition, PauseReason>()
  #bytes = 0
  #timer: Scheduled | undefined
  #asking = false
  #closed = false

  constructor(
    environment: Pick<WorkerEnvironment, 'clock' | 'log' | 'settings'>,
    consumer: Pick<Consumer, 'pause' | 'resume'>,
    admin: Pick<Admin, 'offsets'>,
  ) {
    this.#environment = environment
    this.#consumer = consumer
    this.#admin = admin
  }

  /** Raw bytes held by all partitions. */
  get bytes(): number {
    return this.#bytes
  }

  add(source: SourcePartition): void {
    this.#sources.add(source)
  }

  /** Called when the partition's task is lost. The driver has stopped the partition, and forgets that it was paused. */
  remove(source: SourcePartition): void {
    source.clear()
    this.#sources.delete(source)
    this.#paused.delete(source)
  }

  pauseReason(source: SourcePartition): PauseReason | undefined {
    return this.#paused.get(source)
  }

  bufferChanged(source: SourcePartition, bytes: number): void {
    this.#bytes += bytes
    this.settle(source)
  }

  /** Pauses or resumes the partition, according to its buffer and its readers. */
  settle(source: SourcePartition): void {
    if (!this.#sources.has(source)) return
    const before = this.#paused.get(source)
    const reason = this.#reasonFor(source, before !== undefined)
    if (reason === before) return
    if (reason === undefined) this.#paused.delete(source)
    else this.#paused.set(source, reason)
    if (before === undefined) {
      this.#consumer.pause([source])
      this.#watchEnds()
    } else if (reason === undefined) this.#consumer.resume([source])
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #reasonFor(source: SourcePartition, paused: boolean): PauseReason | undefined {
    if ((source.readersBlocked & NOT_NOW.uncommitted) !== 0) return 'uncommitted'
    const { maxBufferedBytes } = this.#environment.settings
    const limit = Math.max(maxBufferedBytes / this.#sources.size, maxBufferedBytes - this.#bytes)
    // A paused partition resumes only when half of its limit is free, so that pause and resume do not alternate with
    // each batch.
    return source.bytes > 0 && source.bytes >= (paused ? limit / 2 : limit) ? 'buffer' : undefined
  }

  /** Asks for ends while some partition is paused. */
  #watchEnds(): void {
    if (this.#timer !== undefined || this.#asking || this.#closed) return
    this.#timer = this.#environment.clock.schedule(ENDS_INTERVAL_MS, () => {
      this.#timer = undefined
      void this.#askForEnds()
    })
  }

  async #askForEnds(): Promise<void> {
    const { settings, log } = this.#environment
    const sources = byPartition([...this.#paused.keys()])
    if (sources.size === 0) return
    this.#asking = true
    try {
      for (const found of await this.#admin.offsets([...sources.values()], settings.isolation))
        sources.get(partitionKey(found))?.endSeen(found.end)
    } catch (thrown) {
      // Debug only: if the broker is gone for a while, other parts of the transport report it.
      log.debug({ error: toError(thrown).message }, 'The broker did not report the ends of paused partitions.')
    } finally {
      this.#asking = false
    }
    this.#watchEnds()
  }
}
