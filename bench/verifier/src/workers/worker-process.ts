import { type ChildProcess, fork } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { eventually, within } from '@millrace/conformance'
import type { WorkerStats } from '@millrace/worker'
import type { FromWorker, PartitionsMoved, ToWorker, WorkerReport } from './worker-messages.ts'

const START_LIMIT_MS = 60_000
/** Longer than `shutdownTimeout`, after which a worker gives up by itself. */
const STOP_LIMIT_MS = 60_000

export interface WorkerProcessOptions {
  readonly name: string
  /** A file that calls `runWorker`. */
  readonly program: string
  /** Its argument, as JSON. */
  readonly plan: object
  readonly execArgv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Keeps what it writes, with times. */
  readonly logFile?: string | undefined
}

/** A line that a worker wrote. */
export interface LoggedLine {
  readonly level: string
  readonly message: string
  readonly attempt?: number
}

/** How a process ended: by itself, or by a signal that it does not listen to. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A worker in a process of its own, and what can befall a process. */
export class WorkerProcess {
  readonly name: string
  readonly changes: PartitionsMoved[] = []
  /** Resolves when the process has ended, in whatever way, and all that it said is here. */
  readonly end: Promise<ProcessEnd>
  readonly #child: ChildProcess
  readonly #logFile: string | undefined
  readonly #reports = new Map<number, (report: WorkerReport) => void>()
  #nextReport = 0
  #ready = false
  #failure: { readonly code: string; readonly message: string } | undefined
  #output = ''

  constructor({ name, program, plan, execArgv = [], env = {}, logFile }: WorkerProcessOptions) {
    this.name = name
    this.#logFile = logFile
    this.#child = fork(program, [JSON.stringify(plan)], {
      execArgv: [...execArgv],
      env: { PROGRAM_SOURCE_MAPS: 'off', ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.end = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve({ code, signal })))
    const hear = (chunk: Buffer): void => {
      this.#output += chunk.toString()
      this.#keep(chunk.toString())
    }
    this.#child.stdout?.on('data', hear)
    this.#child.stderr?.on('data', hear)
    this.#child.on('message', (message: FromWorker) => this.#heard(message))
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Why it ended, when it ended by itself. */
  get failure(): { readonly code: string; readonly message: string } | undefined {
    return this.#failure
  }

  get output(): string {
    return this.#output
  }

  get log(): readonly LoggedLine[] {
    return this.#output.split('\n').flatMap((line) => (line.startsWith('{') ? [loggedLine(line)] : []))
  }

  /** Resolves when it has joined and recovered; rejects with its output when it ends before. */
  async ready(): Promise<void> {
    await eventually(
      () => {
        if (!this.alive) throw new Error(`Worker ${this.name} ended before it was ready:\n${this.#text()}`)
        return this.#ready
      },
      { what: `worker ${this.name} to be ready; it wrote:\n${this.#text()}`, limitMs: START_LIMIT_MS },
    )
  }

  tell(message: ToWorker): void {
    // One that has ended is found out by whoever waits for it.
    if (this.#child.connected) this.#child.send(message)
  }

  async report(asked: { readonly health?: boolean } = {}): Promise<WorkerReport> {
    const id = this.#nextReport++
    const report = new Promise<WorkerReport>((resolve) => this.#reports.set(id, resolve))
    this.tell({ do: 'report', id, ...asked })
    const ended = this.end.then((): never => {
      throw new Error(`Worker ${this.name} has ended:\n${this.#text()}`)
    })
    return within(Promise.race([report, ended]), { what: `a report of worker ${this.name}` })
  }

  /** SIGTERM; gives the exit code. */
  async stop(): Promise<number | null> {
    if (this.alive) this.#child.kill('SIGTERM')
    await this.ended(STOP_LIMIT_MS)
    return this.#child.exitCode
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (this.alive) this.#child.kill('SIGKILL')
    await this.end
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  async ended(limitMs: number): Promise<ProcessEnd> {
    return within(this.end, { what: `worker ${this.name} to end; it wrote:\n${this.#text()}`, limitMs })
  }

  #heard(message: FromWorker): void {
    switch (message.say) {
      case 'ready':
        this.#ready = true
        return
      case 'moved':
        this.changes.push(message.change)
        this.#keep(`moved ${JSON.stringify(message.change)}`)
        return
      case 'report':
        this.#reports.get(message.id)?.(ofThisBuild(message.report))
        this.#reports.delete(message.id)
        return
      case 'failed':
        this.#failure = message
        this.#keep(`failed ${message.code} ${message.message}`)
    }
  }

  /** The end of what it wrote, for errors. */
  #text(): string {
    return this.#output.slice(-5000)
  }

  #keep(text: string): void {
    if (this.#logFile === undefined) return
    const time = new Date().toISOString()
    const lines = text.trimEnd().split('\n')
    appendFileSync(this.#logFile, lines.map((line) => `${time} ${line}\n`).join(''))
  }
}

/** A build before this one calls the states of a worker its parts. */
function ofThisBuild(report: WorkerReport): WorkerReport {
  const { stats } = report
  if (stats === undefined || !('parts' in stats)) return report
  const { parts, ...rest } = stats as WorkerStats & { readonly parts: WorkerStats['states'] }
  return { ...report, stats: { ...rest, states: parts } }
}

/** Workers frozen before the log had one shape write `message`. */
function loggedLine(line: string): LoggedLine {
  const { msg, message = msg, ...rest } = JSON.parse(line)
  return { ...rest, message }
}
