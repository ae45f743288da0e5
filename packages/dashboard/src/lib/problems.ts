import type { SiteStats } from '@millrace/web'

/** The five headline numbers of the page. */
export type Headline = 'events' | 'sent' | 'lag' | 'commit' | 'errors'

/** A problem, in words. */
export interface Problem {
  /** The headline number that the page shows it under. */
  readonly figure: Headline
  /** `bad`: it does not resolve itself. */
  readonly level: 'warn' | 'bad'
  /** Id of the graph node that it concerns. */
  readonly node?: string
  readonly text: string
}

/** Facts beyond the statistics. */
export interface ProblemContext {
  readonly nowMs: number
  /** Total lag about half a minute ago; `undefined` if unknown. */
  readonly lagBefore: number | undefined
  /** Ids of tasks that no worker takes. */
  readonly unassigned: readonly string[]
}

const LONG_IN_FLIGHT_MS = 30_000
const LONG_HELD_MS = 60_000
/** Reasons for which a watermark stands still although there are events. */
const HOLDS_EVENTS: ReadonlySet<string> = new Set(['event', 'records'])
const LONG_UNCOMMITTED_MS = 15_000
/** Lag up to this size is normal work in progress: so many records, or what is handled in so many seconds. */
const SMALL_LAG = 1_000
const SMALL_LAG_S = 2
const GROWTH = 1.1

/** Describes problems and their likely causes, worst first. */
export function problemsOf(stats: SiteStats, context: ProblemContext): readonly Problem[] {
  const problems = [
    ...stuckAgents(stats),
    ...heldWatermarks(stats),
    ...delayed(stats),
    ...uncommitted(stats),
    ...unassigned(context),
    ...growingLag(stats, context),
    ...failingAgents(stats),
    ...fullCollector(stats),
    ...fullRows(stats),
    ...errors(stats, context),
  ]
  return [...problems.filter(({ level }) => level === 'bad'), ...problems.filter(({ level }) => level === 'warn')]
}

function stuckAgents({ agents }: SiteStats): readonly Problem[] {
  return Object.entries(agents).flatMap(([name, { handling }]): Problem[] => {
    const forMs = handling?.longestInFlightMs ?? 0
    if (forMs < LONG_IN_FLIGHT_MS) return []
    const text = `\`${name}\` has had one event in flight for ${duration(forMs)}.`
    return [{ figure: 'events', level: 'bad', node: `agent:${name}`, text }]
  })
}

type Hold = NonNullable<SiteStats['watermarks'][number]['heldBy']>

/** An event that does not finish, or records that are not handed out: people think that windows hang. */
function heldWatermarks({ watermarks }: SiteStats): readonly Problem[] {
  const byCause = new Map<string, { readonly heldBy: Hold; readonly names: Set<string> }>()
  for (const { name, heldBy } of watermarks) {
    if (heldBy === undefined || !HOLDS_EVENTS.has(heldBy.reason) || heldBy.forMs < LONG_HELD_MS) continue
    const known = byCause.get(heldBy.why) ?? { heldBy, names: new Set() }
    known.names.add(`\`${name}\``)
    byCause.set(heldBy.why, known)
  }
  return [...byCause.values()].map(({ heldBy: { agent, why, forMs }, names }) => {
    const text = `Event time of ${[...names].join(', ')} stands still, so windows stay open: ${why}, for ${duration(forMs)}.`
    return { figure: 'events', level: 'bad', node: `agent:${agent}`, text }
  })
}

function delayed({ delays }: SiteStats): readonly Problem[] {
  return delays
    .filter(({ forMs, overdue }) => overdue || forMs >= LONG_UNCOMMITTED_MS)
    .map(({ topic, partition, forMs, tasks }) => ({
      figure: 'sent',
      level: 'bad',
      node: `topic:${topic}`,
      text: `Partition ${topic}/${partition} has accepted no records for ${duration(forMs)}: ${waiting(tasks.length)}.`,
    }))
}

function waiting(tasks: number): string {
  if (tasks === 0) return 'sends wait'
  return tasks === 1 ? 'a task waits' : `${tasks} tasks wait`
}

function uncommitted({ sources }: SiteStats): readonly Problem[] {
  const stalled = sources.filter(({ stalledMs }) => stalledMs >= LONG_UNCOMMITTED_MS)
  const worst = stalled.toSorted((a, b) => b.stalledMs - a.stalledMs)[0]
  if (worst === undefined) return []
  const others = stalled.length === 1 ? '' : ` and ${stalled.length - 1} more`
  return [
    {
      figure: 'commit',
      level: 'bad',
      node: `topic:${worst.topic}`,
      text: `Partition ${worst.topic}/${worst.partition}${others}: fetched, but nothing committed for ${duration(worst.stalledMs)}.`,
    },
  ]
}

function unassigned({ unassigned: tasks }: ProblemContext): readonly Problem[] {
  if (tasks.length === 0) return []
  const what = tasks.length === 1 ? `Task ${tasks[0]} is` : `${tasks.length} tasks are`
  return [{ figure: 'lag', level: 'bad', text: `${what} on no worker: none of them knows all its topics and tables.` }]
}

function growingLag(stats: SiteStats, { lagBefore }: ProblemContext): readonly Problem[] {
  const small = Math.max(SMALL_LAG, (stats.rates?.events ?? 0) * SMALL_LAG_S)
  if (lagBefore === undefined || stats.lag <= Math.max(lagBefore * GROWTH, small)) return []
  const slowest = Object.entries(stats.agents).toSorted(([, a], [, b]) => b.lag - a.lag)[0]
  if (slowest === undefined) return []
  const [name, { handling, lag, concurrency }] = slowest
  const takes = handling?.p50Ms === undefined ? '' : ` and takes ${duration(handling.p50Ms)} an event`
  const instances = concurrency > 1 ? ` with ${concurrency} instances` : ''
  const text = `Lag grows: \`${name}\` is ${lag.toLocaleString('en-US')} records behind${takes}${instances}.`
  return [{ figure: 'lag', level: 'warn', node: `agent:${name}`, text }]
}

function failingAgents({ agents, errorsInFiveMinutes = 0 }: SiteStats): readonly Problem[] {
  // Events given up long ago are shown in the agent's row.
  if (errorsInFiveMinutes === 0) return []
  return Object.entries(agents).flatMap(([name, { deadLettered }]): Problem[] => {
    if (deadLettered === 0) return []
    const text = `\`${name}\` has given up ${deadLettered === 1 ? 'an event' : `${deadLettered} events`}: see dead letters.`
    return [{ figure: 'errors', level: 'warn', node: `agent:${name}`, text }]
  })
}

function fullCollector({ pendingSends }: SiteStats): readonly Problem[] {
  if (!pendingSends.full) return []
  return [{ figure: 'sent', level: 'warn', text: 'The broker takes records more slowly than agents send them.' }]
}

function fullRows({ changedRows }: SiteStats): readonly Problem[] {
  if (!changedRows.full) return []
  const text = 'Rows change faster than they are stored: agents wait for a commit. `cacheBytes` is the bound.'
  return [{ figure: 'commit', level: 'warn', text }]
}

function errors(
  { errorsInFiveMinutes = 0, lastErrors, agents }: SiteStats,
  { nowMs }: ProblemContext,
): readonly Problem[] {
  const last = lastErrors[0]
  if (errorsInFiveMinutes === 0 || last === undefined) return []
  const ago = duration(Math.max(nowMs - Date.parse(last.at), 0))
  const problem: Problem = { figure: 'errors', level: 'warn', text: `${last.source}, ${ago} ago: ${last.message}` }
  const agent = Object.keys(agents).find((name) => last.source === name || last.source === `agent ${name}`)
  return [agent === undefined ? problem : { ...problem, node: `agent:${agent}` }]
}

/** In the shortest unit that fits: `9 µs`, `40 ms`, `12 s`, `3 min`. */
function duration(ms: number): string {
  if (ms > 0 && ms < 0.1) return `${Math.max(Math.round(ms * 1_000), 1)} µs`
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`
  return `${Math.round(ms / 60_000)} min`
}
