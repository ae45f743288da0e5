import { type OutgoingRecord, RecordRefusedError } from '@millrace/core'
import { type UpstreamTime, watermarkHeaders } from '../records/upstream-times.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { TimeCarrier } from '../topics/time-carriers.ts'
import type { PartitionCursor } from './cursor.ts'
import { StateTime, type StateTimeOwner } from './state-time.ts'

/** How often the watermark is sent at most; less often with many partitions. */
const LEAST_INTERVAL_MS = 1000
const PARTITIONS_PER_INTERVAL = 64
/** After so long it is sent again, changed or not: a new owner of a partition does not know it. */
const AGAIN_MS = 30_000

/** The event time of one task, on its way into all partitions of one repartition topic. */
export class CarriedTime {
  readonly time: StateTime
  readonly #task: string
  readonly #carrier: TimeCarrier
  #cursors: readonly PartitionCursor[] = []
  #sent = ''
  #sentMs = -Infinity

  constructor(owner: StateTimeOwner, task: string, carrier: TimeCarrier) {
    this.#task = task
    this.#carrier = carrier
    this.time = new StateTime(owner, undefined, carrier.subscriptions)
  }

  attach(cursors: readonly PartitionCursor[]): void {
    this.time.attach()
    this.#cursors = cursors.filter(({ subscription }) => this.#carrier.subscriptions.includes(subscription.spec.id))
  }

  /**
   * Sends how far event time has come, as of the last commit or, where a transaction is under way, of this one. Returns in how
   * many milliseconds there may be something more to send.
   */
  send(output: Pick<TaskOutput, 'add' | 'transactional'>, monotonicMs: number, nowMs: number): number {
    const state = this.#state(output.transactional)
    const headers = watermarkHeaders(this.#task, state)
    const shown = `${state.time} ${state.isIdle}`
    const passedMs = monotonicMs - this.#sentMs
    const { topic, partitions } = this.#carrier
    const intervalMs = LEAST_INTERVAL_MS * Math.ceil(partitions / PARTITIONS_PER_INTERVAL)
    if (passedMs < intervalMs && shown !== this.#sent) return intervalMs - passedMs
    if (passedMs < AGAIN_MS && shown === this.#sent) return AGAIN_MS - passedMs
    this.#sent = shown
    this.#sentMs = monotonicMs
    const timestamp = state.time >= 0 ? state.time : nowMs
    for (let partition = 0; partition < partitions; partition++)
      output.add(new Outgoing({ topic, partition, key: null, value: null, headers, timestamp }, ORIGIN))
    return AGAIN_MS
  }

  /** What is idle holds back nobody. So it must have nothing that a crash could bring back. */
  #state(transactional: boolean): UpstreamTime {
    const { watermark, committed, isIdle } = this.time
    const time = transactional ? watermark : committed
    return { time, isIdle: this.#isUnused || (isIdle && committed === watermark) }
  }

  /** Nothing has ever come. */
  get #isUnused(): boolean {
    return this.#cursors.every(
      ({ source, tracker, hasMore, times }) =>
        source.startedAtEnd && tracker.handed === 0 && !hasMore && times?.finished === -Infinity,
    )
  }
}

/** Where the records come from that say how far event time has come. */
const ORIGIN: SendOrigin = {
  open: false,
  describe: () => 'a watermark',
  refusal: (record: OutgoingRecord, error: Error) =>
    new RecordRefusedError(
      record,
      `A watermark for ${record.topic}/${record.partition} was refused: ${error.message}`,
      {
        cause: error,
      },
    ),
}
