import {
  type AgentStats,
  type AssignmentView,
  type Clock,
  type FlowStats,
  type PartStats,
  partitionKey,
  type SourceStats,
  type WorkerStats,
  type WorkerStatus,
} from '@millrace/core'
import type { Subscription } from '../feeds/subscription.ts'
import { LEADER_AGENT } from '../group/elections.ts'
import { describeInHand } from '../tasks/describe-in-hand.ts'
import type { Delays } from '../sending/delays.ts'
import type { SendBudget } from '../sending/send-budget.ts'
import { taskId } from '../tasks/task-id.ts'
import type { TopicDirectory } from '../topics/topic-directory.ts'
import type { CountingSensor } from './counting-sensor.ts'
import type { Runtime } from './runtime.ts'
import type { Quiet } from './worker.ts'

export interface ReportDeps {
  readonly status: WorkerStatus
  /** `undefined` before the worker is connected. */
  readonly runtime: Runtime | undefined
  readonly subscriptions: readonly Subscription[]
  readonly partNames: readonly string[]
  readonly topics: TopicDirectory | undefined
  readonly clock: Clock
  readonly sensor: CountingSensor
  readonly budget: SendBudget
  readonly delays: Delays
}

export function reportStats(deps: ReportDeps): WorkerStats {
  const { status, runtime, sensor, budget, partNames } = deps
  return {
    status,
    agents: agentStats(deps.subscriptions),
    parts: Object.fromEntries(partNames.map((name) => [name, partStats(name, runtime)])),
    sources: sourceStats(runtime, deps.clock),
    flows: flowStats(deps.subscriptions),
    commits: {
      ...(runtime?.committer.stats ?? { count: 0, lastMs: 0 }),
      at: sensor.committedAt,
      durations: sensor.commitTimes.figures(),
    },
    rebalances: runtime?.rebalance.count ?? 0,
    lastRebalance: sensor.rebalance && { ...sensor.rebalance, reason: runtime?.rebalance.reason ?? '' },
    sent: sensor.sent,
    clampedTimestamps: sensor.clampedTimestamps,
    brokenBatches: runtime?.brokenBatches.passed ?? 0,
    errors: sensor.errors,
    lastErrors: [...sensor.lastErrors],
    outbox: { bytes: budget.bytes, full: budget.full },
    delays: deps.delays.stats,
    changedRows: { bytes: runtime?.changedRows.bytes ?? 0, full: runtime?.changedRows.full ?? false },
  }
}

export function reportAssignment({ runtime, topics, subscriptions }: ReportDeps): AssignmentView {
  const tasks = [...(runtime?.rebalance.tasks.values() ?? [])]
  const hasLeader = subscriptions.some(({ spec }) => spec.agent === LEADER_AGENT)
  return {
    memberId: runtime?.rebalance.memberId,
    tasks: tasks.map((task) => ({
      id: task.id,
      state: task.running ? 'running' : 'opening',
      sources: task.assigned,
      parts: topics?.partsWith(task.partitions).map(({ name }) => name) ?? [],
    })),
    group: runtime?.rebalance.group.owners ?? new Map(),
    members: runtime?.rebalance.group.members ?? new Map(),
    // Its topic has one partition.
    leader: hasLeader ? runtime?.rebalance.group.owners.get(taskId(1, 0)) : undefined,
    unassigned: runtime?.rebalance.group.unassigned ?? [],
  }
}

export function reportQuiet({ status, runtime, subscriptions, budget, delays }: ReportDeps): Quiet {
  const inHand: string[] = []
  const tasks = runtime?.rebalance.running ?? []
  if (status === 'starting' || status === 'stopping') inHand.push(`the worker is ${status}`)
  if (runtime?.rebalance.underWay === true) inHand.push('a rebalance')
  if (runtime !== undefined && runtime.rebalance.opening > 0)
    inHand.push(`recovery of ${runtime.rebalance.opening} tasks`)
  if (runtime !== undefined && runtime.standbys.waiting > 0) inHand.push(`copies of ${runtime.standbys.waiting} tasks`)
  if (runtime?.committer.isBusy === true) inHand.push('a commit')
  if (runtime?.changedRows.full === true) inHand.push('changed rows that must be stored first')
  if (budget.bytes > 0) inHand.push(`sends of ${budget.bytes} bytes`)
  for (const delay of delays.stats) inHand.push(`sends to ${partitionKey(delay)}, which takes none just now`)
  inHand.push(...describeInHand(tasks))
  for (const { spec, feeds } of subscriptions)
    if (feeds.some((feed) => feed.hasWork)) inHand.push(`events that wait for agent ${spec.agent}`)
  const positions = tasks.flatMap((task) =>
    task.sources.map(({ source }) => ({ topic: source.topic, partition: source.partition, position: source.position })),
  )
  const finished = tasks.flatMap((task) =>
    task.sources.map(({ source, cursors }) => ({
      topic: source.topic,
      partition: source.partition,
      offset: Math.min(...cursors.map(({ tracker }) => tracker.position)),
    })),
  )
  return { idle: inHand.length === 0, inHand, positions, finished }
}

function agentStats(subscriptions: readonly Subscription[]): Readonly<Record<string, AgentStats>> {
  const agents: Record<string, AgentStats> = {}
  for (const { spec, counters, cursors } of subscriptions) {
    if (spec.agent === LEADER_AGENT) continue
    const sum = agents[spec.agent] ?? { received: 0, processed: 0, failed: 0, retried: 0, active: 0, lag: 0 }
    const lag = cursors.reduce(
      (total, { tracker, place }) => total + Math.max((place.source.endOffset ?? 0) - tracker.position, 0),
      0,
    )
    agents[spec.agent] = {
      received: sum.received + counters.received,
      processed: sum.processed + counters.processed,
      failed: sum.failed + counters.failed,
      retried: sum.retried + counters.retried,
      active: sum.active + counters.active,
      lag: sum.lag + lag,
    }
  }
  return agents
}

function flowStats(subscriptions: readonly Subscription[]): readonly FlowStats[] {
  const flows: FlowStats[] = []
  for (const { spec, counters, cursors } of subscriptions) {
    const { agent } = spec
    if (agent === LEADER_AGENT) continue
    for (const topic of spec.topics) {
      const records = cursors.reduce(
        (sum, { tracker, place }) => (place.source.topic === topic ? sum + tracker.handed : sum),
        0,
      )
      flows.push({ agent, topic, direction: 'in', records })
    }
    for (const { topic, records } of counters.sentTo) flows.push({ agent, topic, direction: 'out', records })
  }
  return flows
}

function partStats(name: string, runtime: Runtime | undefined): PartStats {
  const open = (runtime?.rebalance.running ?? []).flatMap((task) =>
    task.states
      .filter(({ part }) => part.name === name)
      .map(({ store }) => ({ partition: task.partition, rows: store.rows })),
  )
  return {
    partitions: open.map(({ partition }) => partition).toSorted((a, b) => a - b),
    rows: open.reduce((sum, { rows }) => sum + rows, 0),
    recovery: runtime?.recovery.stats(name, open.length > 0) ?? {
      state: 'none',
      restoredRows: 0,
      remainingRows: 0,
      rowsPerSecond: 0,
    },
    standbys: runtime?.standbys.of(name) ?? [],
  }
}

function sourceStats(runtime: Runtime | undefined, clock: Clock): readonly SourceStats[] {
  if (runtime === undefined) return []
  return runtime.rebalance.running
    .flatMap((task) =>
      task.sources.map(({ source, cursors }) => ({
        topic: source.topic,
        partition: source.partition,
        task: task.id,
        position: Math.min(...cursors.map(({ tracker }) => tracker.readTo)),
        committed: source.committed,
        endOffset: source.endOffset,
        bufferedBytes: source.bytes,
        lags: Object.fromEntries(
          cursors.map(({ place, tracker }) => [
            place.spec.agent,
            Math.max((source.endOffset ?? 0) - tracker.position, 0),
          ]),
        ),
        paused: runtime.flow.pauseReason(source),
        stalledMs:
          source.position === (source.committed ?? source.position)
            ? 0
            : Math.max(clock.monotonic() - source.movedAtMs, 0),
      })),
    )
    .toSorted((a, b) => (partitionKey(a) < partitionKey(b) ? -1 : 1))
}
