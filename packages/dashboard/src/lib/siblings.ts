import type { ProcessAnswers, SiteTools, SiteWorker } from '@millrace/web'

/** What a process says of its worker, by worker id. */
type ByWorker<T> = Readonly<Record<string, T>>

interface SiblingAnswer<T> {
  readonly workers: ByWorker<T>
  /** The name of its worker in the group; `undefined` before it has joined. */
  readonly member: string | undefined
}

/** The answers of the other processes that serve this site (`processes`). */
export interface SiblingAnswers<T> {
  readonly workers: ByWorker<T>
  /** Names in the group of the workers that have answered. */
  readonly members: ReadonlySet<string>
  /** The numbers of the processes that have not answered. */
  readonly missing: readonly number[]
}

const NONE: SiblingAnswers<never> = { workers: {}, members: new Set(), missing: [] }

/**
 * Asks the other processes of this machine over their supervisor, which needs no address and works before they have joined the
 * group.
 */
export class Siblings<T> {
  readonly #processes: SiteTools['processes']
  readonly #ask: () => Promise<ProcessAnswers<SiblingAnswer<T>>>

  /** `question`: a path, which names it. `answer`: what this process says if it is asked. */
  constructor(
    { processes, workers }: Pick<SiteTools, 'processes' | 'workers'>,
    question: string,
    answer: (worker: SiteWorker) => ByWorker<T>,
  ) {
    this.#processes = processes
    this.#ask = processes.question<SiblingAnswer<T>>(question, () => {
      const worker = workers.asked()
      return { workers: answer(worker), member: worker.assignment().memberId }
    })
  }

  /** Whether there are any. */
  get any(): boolean {
    return this.#processes.own !== undefined
  }

  async ask(): Promise<SiblingAnswers<T>> {
    if (!this.any) return NONE
    const { others, missing } = await this.#ask()
    const answers = [...others].sort(([one], [other]) => one - other).map(([, answer]) => answer)
    return {
      workers: Object.fromEntries(answers.flatMap(({ workers }) => Object.entries(workers))),
      members: new Set(answers.flatMap(({ member }) => member ?? [])),
      missing,
    }
  }
}
