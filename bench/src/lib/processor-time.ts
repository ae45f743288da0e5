import { existsSync, readFileSync } from 'node:fs'
import type { Bench } from './bench.ts'
import type { MeasuredChild } from './child.ts'

/** Of `/proc`: a hundredth of a second on every Linux. */
const TICKS_PER_SECOND = 100

/** The processor time that a program and the broker take for the steady part of a job. */
export class ProcessorTime {
  readonly #worker: readonly number[]
  readonly #broker: readonly number[]
  #from = { worker: Number.NaN, broker: Number.NaN }

  constructor({ broker }: Bench, child: MeasuredChild) {
    this.#worker = [child.pid]
    this.#broker = broker.pids
  }

  /** Called where the measured part begins: at 10 % of most jobs. */
  begin(): void {
    this.#from = { worker: secondsOf(this.#worker), broker: secondsOf(this.#broker) }
  }

  /** Since `begin`, in seconds. */
  spent(): { readonly workerSeconds: number; readonly brokerSeconds: number } {
    return {
      workerSeconds: secondsOf(this.#worker) - this.#from.worker,
      brokerSeconds: secondsOf(this.#broker) - this.#from.broker,
    }
  }

  /** Called at 90 %: seconds for a million records of `records` in all. */
  perMillion(records: number): { readonly workerSeconds: number; readonly brokerSeconds: number } {
    const millions = (records * 0.8) / 1e6
    const { workerSeconds, brokerSeconds } = this.spent()
    return { workerSeconds: workerSeconds / millions, brokerSeconds: brokerSeconds / millions }
  }
}

/** One run of a job. */
export interface JobRun {
  /** Records per second, between 10 % and 90 %. */
  readonly rate: number
  readonly peakMb: number
  /** Processor time for a million records. */
  readonly workerSeconds: number
  readonly brokerSeconds: number
}

function secondsOf(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const file = `/proc/${pid}/stat`
    if (!existsSync(file)) return Number.NaN
    const text = readFileSync(file, 'utf8')
    // Behind the name, which may have spaces: state, …, utime and stime as the 12th and 13th.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / TICKS_PER_SECOND
}
