import { json, type App, type Topic } from '@millrace/app'
import type { Input } from './input-records.ts'
import { chanceOf } from './random.ts'
import { timedSpans } from './timed-spans.ts'
import type { Mark } from './verifier-app.ts'
import type { VerifierRun } from './verifier-run.ts'
import type { VerifierTopics } from './verifier-topics.ts'

/** What went off: a window of a table, a session, a window of grouped events, a pair of a join, a timer of either clock. */
export type TimedKind = 'window' | 'session' | 'team' | 'pair' | 'reminder' | 'alarm'

/** What is told of it. */
export interface Timed {
  readonly kind: TimedKind
  /** What it is among those of its kind. */
  readonly id: string
  /** The records that it is made of. */
  readonly numbers: readonly number[]
  /** The time of a timer, in milliseconds since the epoch. */
  readonly at?: number
  /** A timer went off before its time. */
  readonly early?: boolean
}

export interface TimedParts {
  readonly run: VerifierRun
  readonly topics: VerifierTopics
  readonly c: Topic<string, Input>
  readonly d: Topic<string, Input>
  readonly timed: Topic<string, object>
  readonly late: Topic<string, object>
  readonly markOf: (agent: string, id: number | string) => Mark
  /** Fails, or waits, as the seed says. */
  readonly befall: (agent: string, id: number | string) => Promise<void>
}

/** Declares what goes by event time: windows, a join of two streams, and timers. All of it is told in one topic. */
export function declareTimed(app: App, parts: TimedParts): void {
  declareWindows(app, parts)
  declareJoin(app, parts)
  declareTimers(app, parts)
}

/** A key with its window, as an id. */
export function windowId(key: string, { start, end }: { readonly start: number; readonly end: number }): string {
  return `${key} ${start}-${end}`
}

/** Few teams, so that their windows have many events. */
export function teamOf(key: string): string {
  return `t${Math.floor(chanceOf('team', key) * 40)}`
}

/** A pair as an id; one side is empty for an event that has met none. */
export function pairId(left: number | undefined, right: number | undefined): string {
  return `${left ?? ''}-${right ?? ''}`
}

/** How long after its event a timer is set for, in milliseconds. */
export function timerDelayOf(run: Pick<VerifierRun, 'seed' | 'records'>, n: number): number {
  return Math.floor(chanceOf(run.seed, 'timer', n) * timedSpans(run.records).longestTimerMs)
}

/** Whether an event sets a timer by the clock, too. */
export function setsAlarm(n: number): boolean {
  return n % 4 === 0
}

/** Tells what went off, and then fails if it has to. */
function teller({ timed, markOf, befall }: TimedParts): (key: string, what: Timed) => Promise<void> {
  return async (key, what) => {
    await timed.send({ key, value: { ...what, ...markOf(what.kind, what.id) } })
    await befall(what.kind, what.id)
  }
}

function declareWindows(app: App, parts: TimedParts): void {
  const { run, topics, c, late, befall } = parts
  const { disorderMs, windowMs, windowGraceMs, sessionGapMs, teamWindowMs } = timedSpans(run.records)
  const tell = teller(parts)
  const aggregate = {
    init: (): readonly number[] => [],
    add: (numbers: readonly number[], { n }: Input): readonly number[] => [...numbers, n],
  }
  const sums = app.table('sums', {
    key: 'string',
    value: json<readonly number[]>(),
    default: () => [],
    partitions: topics.c.partitions,
  })
  const windows = sums.tumbling(windowMs, { grace: windowGraceMs, retention: 2 * windowMs, late })
  app.agent(
    'sums',
    c,
    async (inputs) => {
      for await (const { n, key } of inputs) {
        windows.update(key, (numbers) => [...numbers, n])
        await befall('sums', n)
      }
    },
    { concurrency: 3 },
  )
  app.agent('windows', windows.closed, async (closed) => {
    for await (const { key, window, value: numbers } of closed)
      await tell(key, { kind: 'window', id: windowId(key, window), numbers })
  })
  app.agent('sessions', c, async (inputs) => {
    const sessions = inputs
      .session(sessionGapMs, { grace: disorderMs, retention: 2 * sessionGapMs })
      .aggregate({ ...aggregate, merge: (earlier, later) => [...earlier, ...later] })
    for await (const { key, window, value: numbers } of sessions.emit('close'))
      await tell(key, { kind: 'session', id: windowId(key, window), numbers })
  })
  app.agent('teams', c, async (inputs) => {
    const teams = inputs
      .groupBy(({ key }) => teamOf(key), { name: 'by-team' })
      .tumbling(teamWindowMs, { grace: disorderMs, retention: 2 * teamWindowMs })
      .aggregate(aggregate)
    for await (const { key, window, value: numbers } of teams.emit('close'))
      await tell(key, { kind: 'team', id: windowId(key, window), numbers })
  })
}

function declareJoin(app: App, parts: TimedParts): void {
  const { run, c, d } = parts
  const { disorderMs, withinMs } = timedSpans(run.records)
  const tell = teller(parts)
  app.agent('pairs', c, async (inputs) => {
    const options = { within: withinMs, grace: disorderMs, kind: 'outer' } as const
    const pairs = inputs.join(d, options, (left, right) => ({ left, right }))
    for await (const { left, right } of pairs) {
      const numbers = [left, right].flatMap((each) => each?.n ?? [])
      // The ends of both topics.
      if (numbers.some((n) => n < 0)) continue
      await tell((left ?? right)?.key ?? '', { kind: 'pair', id: pairId(left?.n, right?.n), numbers })
    }
  })
}

function declareTimers(app: App, parts: TimedParts): void {
  const { run, topics, d, befall } = parts
  const { disorderMs } = timedSpans(run.records)
  const tell = teller(parts)
  const options = { key: 'string', value: json<number>(), partitions: topics.d.partitions } as const
  const reminders = app.keyTimers('reminders', { ...options, clock: 'event' })
  const alarms = app.keyTimers('alarms', { ...options, clock: 'wall' })
  app.agent(
    'plans',
    d,
    async (inputs) => {
      for await (const { value, timestamp } of inputs.events()) {
        const { n, key, before } = value
        if (n < 0) continue
        const pending = before === undefined ? undefined : reminders.get(key, String(before))
        // Event time cannot have come that far yet: whether it is cancelled does not depend on when it would go off.
        if (pending !== undefined && pending.at > timestamp + disorderMs) reminders.cancel(key, String(before))
        reminders.set(key, String(n), timestamp + timerDelayOf(run, n), n)
        if (setsAlarm(n)) alarms.set(key, String(n), app.clock.now() + (n % 1000), n)
        await befall('plans', n)
      }
    },
    { concurrency: 2 },
  )
  app.agent('remind', reminders, async (fired) => {
    for await (const { key, name, at, value } of fired)
      await tell(key, { kind: 'reminder', id: name, at, numbers: [value] })
  })
  app.agent('ring', alarms, async (fired) => {
    for await (const { key, name, at, value } of fired)
      await tell(key, { kind: 'alarm', id: name, at, early: app.clock.now() < at, numbers: [value] })
  })
}
