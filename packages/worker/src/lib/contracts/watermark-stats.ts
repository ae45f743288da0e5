import type { TopicPartition } from '@millrace/core'

/**
 * How far event time has come in one partition of a state that keeps it (a windowed table, a join, timers by event
 * time), or on its way into a repartition topic. Times are ISO texts.
 */
export interface WatermarkStats {
  /** Name of the state or of the repartition topic. */
  readonly name: string
  readonly kind: 'state' | 'topic'
  /** Partition of the state; for a repartition topic, that of the topics whose events go into it. */
  readonly partition: number
  readonly task: string
  /** `undefined` before the first event. */
  readonly watermark: string | undefined
  /** The watermark as of the last commit: windows close and rows expire by this one. */
  readonly committed: string | undefined
  /** How far the watermark is behind the clock of this machine, in milliseconds; negative if it is ahead. */
  readonly behindMs: number | undefined
  /** The next time at which the state has something to do, such as a window to close; `undefined` if there is none. */
  readonly waitsFor: string | undefined
  /** The partitions whose events move the watermark; none before an event has written the state. */
  readonly sources: readonly WatermarkSource[]
  /** What holds back the watermark at present; `undefined` if all sources are idle or there are none. */
  readonly heldBy: WatermarkHold | undefined
}

/** A partition whose events move a watermark, or the due events of another state. */
export interface WatermarkSource extends TopicPartition {
  readonly agent: string
  /** The highest time among the events that are finished without a gap; `undefined` before the first one. */
  readonly watermark: string | undefined
  /** Holds back nothing, because it has been at its end for `idleAfter`. */
  readonly idle: boolean
}

/** The source that holds back a watermark because its own is the lowest. */
export interface WatermarkHold extends TopicPartition {
  /**
   * `event`: an event that was handed out has not finished; `records`: records are not handed out yet; `upstream`: a
   * task that writes into this repartition topic has come no further; `due`: windows or timers of another state, which
   * has come no further; `end`: the partition is at its end and not idle yet.
   */
  readonly reason: 'event' | 'records' | 'upstream' | 'due' | 'end'
  readonly agent: string
  /** Only for `event`: the first unfinished one. Due events of a state have an identity in place of an offset. */
  readonly offset: number | undefined
  /** Only for `upstream`: the task. */
  readonly upstream: string | undefined
  /** Since when it has not moved on, accurate to a commit; ISO text. */
  readonly since: string
  /** How long that is, in milliseconds. */
  readonly forMs: number
  /** All of this in words. */
  readonly why: string
}
