interface Tally {
  readonly agent: string
  writes: number
}

/** How often a table has been read, and how often each agent has written to it. */
export class UseCounts {
  reads = 0
  readonly #byAgent = new Map<string, Tally>()
  #last: Tally | undefined = undefined

  /** One comparison in nearly all cases, because most writes are by the same agent as the one before. */
  addWrite(agent: string): void {
    const last = this.#last
    if (last !== undefined && last.agent === agent) last.writes++
    else this.#switchTo(agent)
  }

  get writes(): number {
    let sum = 0
    for (const { writes } of this.#byAgent.values()) sum += writes
    return sum
  }

  /** Writes by agent. */
  get writers(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#byAgent.values()].map(({ agent, writes }) => [agent, writes]))
  }

  #switchTo(agent: string): void {
    let tally = this.#byAgent.get(agent)
    if (tally === undefined) this.#byAgent.set(agent, (tally = { agent, writes: 0 }))
    tally.writes++
    this.#last = tally
  }
}
