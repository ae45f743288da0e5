import cluster from 'node:cluster'
import type { Clock } from '@millrace/core'
import type { SiblingProcesses } from '@millrace/core/operations'
import { PROCESS_VARIABLE, type ProcessReport, type SupervisorOrder } from './process-messages.ts'

/** Answers that a process waits for. */
interface Asking {
  readonly answers: Map<number, string>
  /** `undefined` until the supervisor has said how many it has asked. */
  open: number | undefined
  readonly done: () => void
}

/** The way from one of several processes to its supervisor, and over it to the others. */
export class SiblingLink implements SiblingProcesses {
  readonly index: number
  readonly count: number
  readonly #clock: Pick<Clock, 'schedule'>
  readonly #asking = new Map<number, Asking>()
  #asked = 0
  #answer: ((question: string) => Promise<string>) | undefined

  constructor(place: { readonly index: number; readonly count: number }, clock: Pick<Clock, 'schedule'>) {
    this.index = place.index
    this.count = place.count
    this.#clock = clock
    process.on('message', (order: SupervisorOrder) => this.#receive(order))
    // Node would exit at once if the supervisor were killed.
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
  }

  /**
   * Calls `stop` when the supervisor asks this process to stop, and when the supervisor is gone: nobody else would stop
   * this process then.
   */
  onStop(stop: () => void): void {
    process.once('disconnect', stop)
    process.on('message', ({ kind }: SupervisorOrder) => {
      if (kind === 'stop') stop()
    })
  }

  /** Calls `count` for the number of tasks of this process's worker when the supervisor asks for it. */
  onTellTasks(count: () => number): void {
    process.on('message', ({ kind }: SupervisorOrder) => {
      if (kind === 'tellTasks') void this.tell({ kind: 'tasks', tasks: count() })
    })
  }

  /** Resolves once the message is on its way. */
  tell(report: ProcessReport): Promise<void> {
    return new Promise((resolve) => {
      // An error says that the supervisor is gone, of which `onStop` hears.
      if (process.connected) process.send?.(report, undefined, undefined, () => resolve())
      else resolve()
    })
  }

  answerWith(answer: (question: string) => Promise<string>): void {
    this.#answer = answer
  }

  async ask(question: string, limitMs: number): Promise<ReadonlyMap<number, string>> {
    const id = this.#asked++
    const answers = new Map<number, string>()
    await new Promise<void>((resolve) => {
      const timer = this.#clock.schedule(limitMs, resolve)
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      this.#asking.set(id, { answers, open: undefined, done })
      void this.tell({ kind: 'ask', id, question })
    })
    this.#asking.delete(id)
    return answers
  }

  #receive(order: SupervisorOrder): void {
    if (order.kind === 'question') void this.#answerTo(order)
    if (order.kind !== 'asking' && order.kind !== 'answered') return
    const asking = this.#asking.get(order.id)
    // Its time is over.
    if (asking === undefined) return
    if (order.kind === 'asking') asking.open = order.processes
    else {
      asking.open = (asking.open ?? 0) - 1
      if (order.text !== undefined) asking.answers.set(order.from, order.text)
    }
    if (asking.open === 0) asking.done()
  }

  async #answerTo({ id, from, question }: Extract<SupervisorOrder, { kind: 'question' }>): Promise<void> {
    try {
      const text = await this.#answer?.(question)
      await this.tell({ kind: 'answer', id, to: from, ...(text === undefined ? {} : { text }) })
    } catch {
      // The process that asks shows that this one did not answer.
      await this.tell({ kind: 'answer', id, to: from })
    }
  }
}

/**
 * The link of this process, if the worker command has started it as one of several. Programs that the app starts are
 * none.
 */
export function siblingLink(env: NodeJS.ProcessEnv, clock: Pick<Clock, 'schedule'>): SiblingLink | undefined {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(env[PROCESS_VARIABLE] ?? '') ?? []
  delete env[PROCESS_VARIABLE]
  if (index === undefined || count === undefined || !cluster.isWorker) return undefined
  return new SiblingLink({ index: Number(index), count: Number(count) }, clock)
}
