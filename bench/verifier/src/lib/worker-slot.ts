import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { toError } from '@millrace/core'
import { bundled } from '@millrace/programs-for-tests'
import type { Defect } from '../defects/defects.ts'
import { WorkerProcess, type ProcessEnd } from '../workers/worker-process.ts'
import type { VerifierRun, WorkerPlan } from './verifier-run.ts'

const workerSource = new URL('../children/worker.ts', import.meta.url)
const workerFile = fileURLToPath(await bundled(workerSource))
const changingFile = fileURLToPath(new URL('../children/load-changed.mjs', import.meta.url))

/** An end that nobody asked for, or not as asked. */
export interface BadEnd {
  readonly slot: number
  readonly what: string
  readonly log: string
}

/** A place for a worker: a process, and after it has been ended the next one. */
export class WorkerSlot {
  readonly slot: number
  readonly badEnds: BadEnd[] = []
  starts = 0
  readonly #run: VerifierRun
  readonly #defect: Defect | undefined
  #worker: WorkerProcess | undefined
  #logFile = ''
  /** What was asked of the process; `undefined` while it should run. */
  #asked: 'kill' | 'stop' | undefined

  constructor(slot: number, run: VerifierRun, defect: Defect | undefined) {
    this.slot = slot
    this.#run = run
    this.#defect = defect
  }

  get isUp(): boolean {
    return this.#worker !== undefined
  }

  /** Starts a process, unless one is there. */
  start(): void {
    if (this.#worker !== undefined) return
    const name = `worker-${this.slot}-${this.starts++}`
    const change = this.#defect?.change
    const plan: WorkerPlan = { run: this.#run, slot: this.slot }
    this.#logFile = join(this.#run.directory, `${name}.log`)
    const worker = new WorkerProcess({
      name,
      plan,
      logFile: this.#logFile,
      // What is changed is one file among the sources.
      ...(change === undefined
        ? { program: workerFile }
        : {
            program: fileURLToPath(workerSource),
            execArgv: ['--import', pathToFileURL(changingFile).href, '--import', 'tsx'],
            env: { VERIFIER_CHANGE: JSON.stringify(change) },
          }),
    })
    this.#asked = undefined
    this.#worker = worker
    void worker.end.then((end) => this.#ended(worker, end))
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#asked = 'kill'
    await this.#worker?.kill()
  }

  /** SIGTERM. A worker that takes too long is killed, and that is a bad end. */
  async stop(): Promise<void> {
    this.#asked = 'stop'
    try {
      await this.#worker?.stop()
    } catch (late) {
      this.#bad(toError(late).message)
      await this.kill()
    }
  }

  freeze(): void {
    this.#worker?.freeze()
  }

  thaw(): void {
    this.#worker?.thaw()
  }

  /** Resolves when the process is ready; rejects after a minute. */
  async ready(): Promise<void> {
    if (this.#worker === undefined) throw new Error(`Worker ${this.slot} has ended.`)
    await this.#worker.ready()
  }

  #ended(worker: WorkerProcess, { code, signal }: ProcessEnd): void {
    this.#worker = undefined
    const how = `${signal ?? `exit code ${code}`}${worker.failure === undefined ? '' : `, ${worker.failure.message}`}`
    if (this.#asked === undefined) this.#bad(`ended by itself (${how})`)
    // A process that still loads its modules listens to no signal: SIGTERM ends it as it does any program.
    if (this.#asked === 'stop' && code !== 0 && signal !== 'SIGTERM') this.#bad(`ended with ${how} after SIGTERM`)
  }

  #bad(what: string): void {
    this.badEnds.push({ slot: this.slot, what, log: this.#logFile })
  }
}
