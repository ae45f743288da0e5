/**
 * The processes that the worker command runs of one app on this machine (setting `processes`), as one of them sees
 * them. Each is a worker of its own; together they serve one site.
 */
export interface SiblingProcesses {
  /** Number of this process, from 0. A process that takes the place of one that has ended has its number. */
  readonly index: number
  readonly count: number
  /**
   * Asks the other processes. The answers come by their numbers; those that have not answered within `limitMs` are
   * missing. Never rejects.
   *
   * @param question known to the one that answers, such as the path of a page
   */
  ask(question: string, limitMs: number): Promise<ReadonlyMap<number, string>>
  /** Sets what answers the questions of the others. Until then, and if it rejects, they get no answer. */
  answerWith(answer: (question: string) => Promise<string>): void
}
