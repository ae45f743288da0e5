import { partitionKey, type TopicPartition } from '@millrace/core'
import type { SourceFlow, SourcePartition } from './source-partition.ts'

export type PauseReason = 'buffer' | 'uncommitted'

export interface FlowControlDeps {
  readonly maxBufferedBytes: number
  readonly pause: (partitions: readonly TopicPartition[]) => void
  readonly resume: (partitions: readonly TopicPartition[]) => void
}

/**
 * Decides which source partitions are fetched. Each may hold its share of the buffer, or more while the whole buffer has
 * room, so that a slow agent fills its own share and never holds up another topic. The bound is exceeded by one fetch per
 * partition at most.
 */
export class FlowControl implements SourceFlow {
  readonly #deps: FlowControlDeps
  readonly #sources = new Set<SourcePartition>()
  readonly #paused = new Map<string, PauseReason>()
  readonly #overdrawn = new Set<SourcePartition>()
  #bytes = 0

  constructor(deps: FlowControlDeps) {
    this.#deps = deps
  }

  /** Raw bytes held by all partitions. */
  get bytes(): number {
    return this.#bytes
  }

  add(source: SourcePartition): void {
    this.#sources.add(source)
  }

  /** Its task is lost, and the partition stopped in the driver, which forgets that it was paused. */
  remove(source: SourcePartition): void {
    source.clear()
    this.#sources.delete(source)
    this.#overdrawn.delete(source)
    this.#paused.delete(partitionKey(source))
  }

  pauseReason(source: SourcePartition): PauseReason | undefined {
    return this.#paused.get(partitionKey(source))
  }

  bufferChanged(source: SourcePartition, bytes: number): void {
    this.#bytes += bytes
    if (this.#sources.has(source)) this.#settle(source)
  }

  /** Whether too much has been handed out of it since its last commit. */
  setOverdrawn(source: SourcePartition, overdrawn: boolean): void {
    if (overdrawn === this.#overdrawn.has(source)) return
    if (overdrawn) this.#overdrawn.add(source)
    else this.#overdrawn.delete(source)
    this.#settle(source)
  }

  #settle(source: SourcePartition): void {
    const key = partitionKey(source)
    const reason = this.#reasonFor(source, this.#paused.get(key) !== undefined)
    const before = this.#paused.get(key)
    if (reason === before) return
    if (reason === undefined) this.#paused.delete(key)
    else this.#paused.set(key, reason)
    if (before === undefined) this.#deps.pause([source])
    else if (reason === undefined) this.#deps.resume([source])
  }

  #reasonFor(source: SourcePartition, paused: boolean): PauseReason | undefined {
    if (this.#overdrawn.has(source)) return 'uncommitted'
    const { maxBufferedBytes } = this.#deps
    const limit = Math.max(maxBufferedBytes / this.#sources.size, maxBufferedBytes - this.#bytes)
    // Half of it must be free before fetching goes on, so that pause and resume do not follow each batch.
    return source.bytes > 0 && source.bytes >= (paused ? limit / 2 : limit) ? 'buffer' : undefined
  }
}
