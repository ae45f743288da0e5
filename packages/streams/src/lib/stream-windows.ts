import type { CodecSpec, Duration } from '@millrace/core'
import type { DueSource, StateDefinition } from '@millrace/worker'

/**
 * A window of event time, in milliseconds since the epoch. `start` belongs to it, `end` does not; of sessions and sliding windows,
 * both do.
 */
export interface StreamWindow {
  readonly start: number
  readonly end: number
}

/** What a key came to in a window: so far, or for good if the window is closed. */
export interface WindowResult<K, A> {
  readonly key: K
  readonly window: StreamWindow
  readonly value: A
}

/** Options of the windows of a stream. */
export interface StreamWindowOptions {
  /** How long after its end a window still takes events. Default `'0s'`. */
  readonly grace?: Duration
  /** How long after its end a window can be read; at least `grace`. Default `'1d'`. */
  readonly retention?: Duration
  /** A topic for late events, as in the windows of tables. */
  readonly late?: { readonly name: string }
  /** Of the windowed table, its changelog and its statistics. Default: `{agent}-tumbling-{size}`, `{agent}-hopping-{size}-{every}`. */
  readonly name?: string
  /** How results are encoded. Default `'json'`. */
  readonly value?: CodecSpec
}

/** The kind of windows, and their lengths. */
export type WindowKind =
  | { readonly kind: 'tumbling'; readonly size: Duration }
  | { readonly kind: 'hopping'; readonly size: Duration; readonly every: Duration }
  | { readonly kind: 'sliding'; readonly difference: Duration }
  | {
      readonly kind: 'session'
      readonly gap: Duration
      readonly merge: (earlier: unknown, later: unknown) => unknown
    }

/** The windows of one stream. */
export interface StreamWindowsSpec {
  readonly agent: string
  readonly kind: WindowKind
  readonly options: StreamWindowOptions
  readonly key: CodecSpec
  /** The topics that the events come from: the state has as many partitions as they have. */
  readonly topics: readonly string[]
}

/** State by windows, as the events of a stream use it. */
export interface WindowState extends StateDefinition {
  /** Reads the closed windows, as `WindowResult`. */
  readonly closed: DueSource<unknown, unknown>
  /** Whether `closed` gives a window, or has given it, in the task of the current event: no result may follow. */
  givesClosed(window: StreamWindow): boolean
  /** As an effect of the current event, changes a key's value in each open window of the event's time, the oldest first. */
  update(
    key: unknown,
    change: (value: unknown, window: StreamWindow) => unknown,
    options?: {
      /** Gets each new window that the event has made and is not in. */
      readonly copied: (value: unknown, window: StreamWindow) => void
    },
  ): number
}

/** Where streams find windowed state, which they do not implement. An app gives them that of its tables. */
export interface WindowStates {
  /**
   * The state of these windows: the same one each time, for all workers of the process.
   *
   * @throws `WINDOW_INVALID`, `DEFINITION_INVALID`, `NAME_TAKEN`, `CODEC_UNKNOWN`
   */
  open(spec: StreamWindowsSpec): WindowState
}
