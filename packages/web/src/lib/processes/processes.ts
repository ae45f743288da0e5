import type { SiteApp } from '../site-app.ts'

/** A process that takes longer to answer counts as missing. Probes wait for a second. */
const LIMIT_MS = 800

/** What the processes of this machine have answered. */
export interface ProcessAnswers<T> {
  readonly own: T
  /** By the number of the process; empty if this process is the only one. */
  readonly others: ReadonlyMap<number, T>
  /** Processes that have not answered: they are starting or blocked, or have just ended. */
  readonly missing: readonly number[]
}

/**
 * The processes that serve a site together (`processes`). They share its port, so a page about "the worker" that asked
 * only its own process would show another one at each request.
 */
export class Processes {
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #questions = new Map<string, () => unknown>()

  constructor(site: Pick<SiteApp, 'surroundings'>) {
    this.#site = site
  }

  /** The number of this process; `undefined` if it is the only one. */
  get own(): number | undefined {
    return this.#site.surroundings.siblings?.index
  }

  /** Defines a question for each process, and returns the function that asks them all. `answer` must give JSON. */
  question<T>(name: string, answer: () => T | Promise<T>): () => Promise<ProcessAnswers<T>> {
    this.#questions.set(name, answer)
    return async () => {
      const { siblings } = this.#site.surroundings
      if (siblings === undefined) return { own: await answer(), others: new Map(), missing: [] }
      const [own, texts] = await Promise.all([answer(), siblings.ask(name, LIMIT_MS)])
      const others = new Map<number, T>()
      // Written by this very code in another process.
      for (const [process, text] of texts) others.set(process, JSON.parse(text))
      const all = Array.from({ length: siblings.count }, (_, process) => process)
      return { own, others, missing: all.filter((process) => process !== siblings.index && !others.has(process)) }
    }
  }

  /** From here on the questions of the other processes are answered. */
  open(): void {
    this.#site.surroundings.siblings?.answerWith(async (name) => JSON.stringify(await this.#questions.get(name)?.()))
  }
}
