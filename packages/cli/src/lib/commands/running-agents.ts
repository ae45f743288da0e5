/** Why an agent gets no events, as a running worker reports it at `/stats`; times in ISO 8601. */
export interface HeldAgent {
  readonly name: string
  /** `paused since … by …: …`, for people. */
  readonly why: string
}

/**
 * The agents in a worker's answer that get no events. The worker may run another version, so entries that do not look
 * like agents are left out.
 */
export function heldAgents(answer: unknown): readonly HeldAgent[] {
  const { agents } = fieldsOf(answer)
  return Object.entries(fieldsOf(agents)).flatMap(([name, agent]) => {
    const { paused } = fieldsOf(agent)
    const { since, by, why } = fieldsOf(paused)
    if (typeof since !== 'string') return []
    const who = typeof by === 'string' ? ` by ${by}` : ''
    const reason = typeof why === 'string' ? `: ${why}` : ''
    return [{ name, why: `paused since ${since}${who}${reason}` }]
  })
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
