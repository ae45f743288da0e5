import { type OutgoingRecord, RecordRefusedError } from '@millrace/core'
import { type UpstreamTime, watermarkHeaders } from '../records/upstream-times.ts'
import { Outgoing, type SendOrigin } from '../sending/outgoing.ts'
import type { TaskOutput } from '../sending/task-output.ts'
import type { TimeCarrier } from '../topics/time-carriers.ts'
import { StateTime, type StateTimeOwner } from './state-time.ts'

/** The shortest time between two sends of the watermark; it is longer with many partitions. */
const LEAST_INTERVAL_MS = 1000
const PARTITIONS_PER_INTERVAL = 64
/** After this time the watermark is sent again even if it is unchanged, for an owner that has missed it. */
const AGAIN_MS = 30_000

/** Sends the event time of one task to all partitions of one repartition topic. */
export class CarriedTime {
  readonly time: StateTime
  readonly #task: string
  readonly #carrier: TimeCarrier
  #sent = ''
  #sentMs = -Infinity

  constructor(owner: StateTimeOwner, task: string, carrier: TimeCarrier) {
    this.#task = task
    this.#carrier = carrier
    this.time = new StateTime(owner, undefined, carrier.subscriptions)
  }

  get topic(): string {
    return this.#carrier.topic
  }

  attach(): void {
    this.time.attach()
  }

  /** Partitions may have new owners, which do not know the watermark: the next send has it, even if it is unchanged. */
  repeat(): void {
    this.#sent = ''
    this.#sentMs = -Infinity
  }

  /**
   * Sends the event time reached as of the last commit or, under transactions, as of the current one. Returns after how
   * many milliseconds there may be more to send.
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

  /** An idle task holds back no reader, so it may count as idle only if a crash could bring nothing back. */
  #state(transactional: boolean): UpstreamTime {
    const { watermark, committed, isIdle } = this.time
    const time = transactional ? watermark : committed
    return { time, isIdle: isIdle && committed === watermark }
  }
}

/** The origin of the records that carry event time. */
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
