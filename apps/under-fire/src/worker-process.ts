import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '@millrace/conformance'
import { bundled } from '@millrace/programs-for-tests'
import type { TallyPlan } from './tally-app.ts'
import type { FromWorker, PartitionsMoved, ToWorker, WorkerReport } from './worker-messages.ts'

const mainFile = fileURLToPath(await bundled(new URL('./worker-main.ts', import.meta.url)))
const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 60_000

/** A line that a worker wrote, of level warn or error. */
export interface LoggedLine {
  readonly level: string
  readonly message: string
  readonly attempt?: number
}

/** A worker in a process of its own. */
export class WorkerProcess {
  readonly name: string
  readonly changes: PartitionsMoved[] = []
  readonly #plan: TallyPlan
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #reports = new Map<number, WorkerReport>()
  #nextReport = 0
  #ready = false
  #failure: { readonly code: string; readonly message: string } | undefined
  #output = ''

  /** `program` is the file of another build of `worker-main.ts`. */
  constructor(plan: TallyPlan, program: string = mainFile) {
    this.name = plan.worker
    this.#plan = plan
    this.#child = fork(program, [JSON.stringify(plan)], {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#exited = once(this.#child, 'exit')
    const hear = (chunk: Buffer): void => {
      this.#output += chunk.toString()
      keep(plan, chunk)
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
    return this.#output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  }

  /** Resolves when it has joined and recovered; rejects with its output when it ends before. */
  async ready(): Promise<void> {
    await eventually(
      () => {
        if (!this.alive) throw new Error(`Worker ${this.name} ended before it was ready:\n${this.#output}`)
        return this.#ready
      },
      { what: `worker ${this.name} to be ready; it wrote:\n${this.#output}`, limitMs: START_LIMIT_MS },
    )
  }

  tell(message: ToWorker): void {
    // One that has ended is found out by whoever waits for it.
    if (this.#child.connected) this.#child.send(message)
  }

  async report(): Promise<WorkerReport> {
    const id = this.#nextReport++
    this.tell({ do: 'report', id })
    const look = (): WorkerReport | undefined => {
      if (!this.alive) throw new Error(`Worker ${this.name} has ended:\n${this.#output}`)
      return this.#reports.get(id)
    }
    const report = await eventually(look, { what: `a report of worker ${this.name}` })
    this.#reports.delete(id)
    return report
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
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
    await this.#exited
  }

  async ended(limitMs: number): Promise<void> {
    await eventually(() => !this.alive, { what: `worker ${this.name} to end; it wrote:\n${this.#output}`, limitMs })
  }

  #heard(message: FromWorker): void {
    switch (message.say) {
      case 'ready':
        this.#ready = true
        return
      case 'moved':
        this.changes.push(message.change)
        keep(this.#plan, `moved ${JSON.stringify(message.change)}\n`)
        return
      case 'report':
        this.#reports.set(message.id, message.report)
        return
      case 'failed':
        this.#failure = message
    }
  }
}

/** What workers write is kept, with times, where `MILLRACE_FIRE_LOGS` names a directory: to look into a run. */
function keep(plan: TallyPlan, text: Buffer | string): void {
  const directory = process.env['MILLRACE_FIRE_LOGS']
  if (directory === undefined) return
  const lines = text.toString().trimEnd().split('\n')
  const time = new Date().toISOString()
  appendFileSync(
    join(directory, `${plan.numbers}-${plan.worker}.log`),
    lines.map((line) => `${time} ${line}\n`).join(''),
  )
}
