import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { systemClock, withTimeout, type Clock } from '@millrace/core'
import { bundled } from '@millrace/programs-for-tests'
import type { Fault } from '../faults/faults.ts'
import { RUN_VARIABLE, type VerifierRun } from './verifier-run.ts'

const workerSource = new URL('../children/worker.ts', import.meta.url)
const workerFile = fileURLToPath(await bundled(workerSource))
const changingFile = fileURLToPath(new URL('../children/load-changed.mjs', import.meta.url))
/** Longer than `shutdownTimeout`, after which a worker gives up by itself. */
const STOP_LIMIT_MS = 45_000

/** An end that nobody asked for, or not as asked. */
export interface BadEnd {
  readonly slot: number
  readonly what: string
  readonly log: string
}

/** One of the workers: a process, and after it has been ended the next one. */
export class WorkerSlot {
  readonly slot: number
  readonly badEnds: BadEnd[] = []
  starts = 0
  readonly #run: VerifierRun
  readonly #fault: Fault | undefined
  readonly #clock: Clock = systemClock()
  #child: ChildProcess | undefined
  #log = ''
  /** What was asked of the process; `undefined` while it should run. */
  #asked: 'kill' | 'stop' | undefined

  constructor(slot: number, run: VerifierRun, fault: Fault | undefined) {
    this.slot = slot
    this.#run = run
    this.#fault = fault
  }

  get isUp(): boolean {
    return this.#child !== undefined
  }

  /** Starts a process, unless one is there. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return
    this.#log = join(this.#run.directory, `worker-${this.slot}-${this.starts++}.log`)
    const log = await open(this.#log, 'w')
    const change = this.#fault?.change
    // What is changed is one file among the sources.
    const program =
      change === undefined
        ? [workerFile]
        : ['--import', pathToFileURL(changingFile).href, '--import', 'tsx', fileURLToPath(workerSource)]
    try {
      const child = spawn(process.execPath, [...program, 'worker', '--loglevel', 'info'], {
        env: {
          ...process.env,
          [RUN_VARIABLE]: JSON.stringify(this.#run),
          VERIFIER_SLOT: String(this.slot),
          ...(change === undefined ? {} : { VERIFIER_CHANGE: JSON.stringify(change) }),
        },
        stdio: ['pipe', log.fd, log.fd],
      })
      this.#asked = undefined
      this.#child = child
      child.once('exit', (code, signal) => this.#ended(child, code, signal))
    } finally {
      await log.close()
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', 'kill')
  }

  /** SIGTERM. A worker that takes too long is killed, and that is a bad end. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const late = new Error(`did not end within ${STOP_LIMIT_MS} ms of SIGTERM`)
    try {
      await withTimeout(this.#end('SIGTERM', 'stop'), STOP_LIMIT_MS, this.#clock, () => late)
    } catch (error) {
      if (error !== late) throw error
      this.#bad(late.message)
      await this.kill()
    }
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Resolves when the process has said that it is ready; rejects after a minute. */
  async ready(): Promise<void> {
    const until = this.#clock.monotonic() + 60_000
    while (!(await this.#output()).includes('Worker is ready')) {
      if (this.#child === undefined || this.#clock.monotonic() > until)
        throw new Error(`Worker ${this.slot} was not ready:\n${(await this.#output()).slice(-3000)}`)
      await this.#clock.sleep(100)
    }
  }

  async #output(): Promise<string> {
    return readFile(this.#log, 'utf8')
  }

  async #end(signal: NodeJS.Signals, asked: 'kill' | 'stop'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#asked = asked
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return
    this.#child = undefined
    if (this.#asked === undefined) this.#bad(`ended by itself (${signal ?? `exit code ${code}`})`)
    // A process that still loads its modules listens to no signal: SIGTERM ends it as it does any program.
    const isTooEarly = signal === 'SIGTERM' && !readFileSync(this.#log, 'utf8').includes('Worker is starting')
    if (this.#asked === 'stop' && code !== 0 && signal !== 'SIGKILL' && !isTooEarly)
      this.#bad(`ended with ${signal ?? code} after SIGTERM`)
  }

  #bad(what: string): void {
    this.badEnds.push({ slot: this.slot, what, log: this.#log })
  }
}
