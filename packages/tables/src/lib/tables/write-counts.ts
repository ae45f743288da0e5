/** How often each agent has written to a table. One comparison a write, as nearly all writes are by the agent of the last one. */
export class WriteCounts {
  readonly #byAgent = new Map<string, Tally>()
  #last: Tally | undefined = undefined

  add(agent: string): void {
    const last = this.#last
    if (last !== undefined && last.agent === agent) last.writes++
    else this.#switchTo(agent)
  }

  get total(): number {
    let sum = 0
    for (const { writes } of this.#byAgent.values()) sum += writes
    return sum
  }

  /** By agent. */
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

interface Tally {
  readonly agent: string
  writes: number
}
