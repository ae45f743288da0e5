import cluster, { type Worker } from 'node:cluster'
import { PROCESS_VARIABLE, type ProcessReport, type SupervisorOrder } from './process-messages.ts'

/** How many of the last lines of a process's error output are kept. */
const LINES_KEPT = 20

export interface WorkerProcessOptions {
  readonly index: number
  readonly count: number
  /** Where its error output goes, besides. */
  readonly stderr: { write(text: string): unknown }
  /** Called for each report. */
  readonly onReport: (report: ProcessReport) => void
}

/** A process that runs a worker for the supervisor. */
export class WorkerProcess {
  /** Resolves at its end, with the exit code or the signal. */
  readonly ended: Promise<number | string>
  readonly #worker: Worker
  #lines: readonly string[] = []

  constructor({ index, count, stderr, onReport }: WorkerProcessOptions) {
    this.#worker = cluster.fork({ [PROCESS_VARIABLE]: `${index}/${count}` })
    const { process: child } = this.#worker
    this.#worker.on('message', onReport)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr.write(text)
      this.#lines = [...this.#lines, ...text.split('\n').filter((line) => line.trim() !== '')].slice(-LINES_KEPT)
    })
    this.ended = new Promise((resolve) => {
      // Not before its output has been read.
      child.once('close', (code, signal) => resolve(signal ?? code ?? 1))
      child.once('error', () => resolve(1))
    })
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** The end of its error output. */
  get lastLines(): readonly string[] {
    return this.#lines
  }

  /** False if the process is gone. */
  order(order: SupervisorOrder): boolean {
    // A process that ends meanwhile is no error here: `ended` says so.
    return this.#worker.isConnected() && this.#worker.send(order, () => undefined)
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }
}
