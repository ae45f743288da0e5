import type { TopicPartition } from '@millrace/core'
import type { WorkerStats } from '@millrace/worker'

/** From the program that started it to a worker process. */
export type ToWorker =
  | { readonly do: 'stop' }
  /** The next event keeps the event loop for so long. */
  | { readonly do: 'block'; readonly ms: number }
  | { readonly do: 'hold' }
  | { readonly do: 'release' }
  | { readonly do: 'slow down'; readonly eventMs: number }
  | { readonly do: 'report'; readonly id: number; readonly health?: boolean }

export interface WorkerReport {
  readonly stats: WorkerStats | undefined
  /** What `/health/ready` answers, when it was asked for: an answer loads much of Node. */
  readonly health?: { readonly ready: boolean; readonly reasons: readonly string[] }
  readonly handledSlow?: number
  readonly rssBytes: number
  readonly peakRssBytes: number
}

export interface PartitionsMoved {
  readonly lost: readonly TopicPartition[]
  readonly kept: readonly TopicPartition[]
  readonly gained: readonly TopicPartition[]
}

/** From a worker process to the program that started it. */
export type FromWorker =
  | { readonly say: 'ready' }
  | { readonly say: 'moved'; readonly change: PartitionsMoved }
  | { readonly say: 'report'; readonly id: number; readonly report: WorkerReport }
  | { readonly say: 'failed'; readonly code: string; readonly message: string }
