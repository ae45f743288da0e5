import { partitionKey } from '@millrace/core'
import type { AssignmentView } from '../contracts/group.ts'
import type {
  AgentStats,
  FlowStats,
  GroupStats,
  PartStats,
  SourceStats,
  WaitingStats,
  WorkerStats,
  WorkerStatus,
} from '../contracts/stats.ts'
import { inWords, NOT_NOW, PASSING, reasonsOf } from '../environment/not-now.ts'
import { taskId } from '../environment/task-id.ts'
import type { Subscription } from '../queue/subscription.ts'
import type { PartitionCursor } from '../task/cursor.ts'
import { LEADER_AGENT } from '../topics/declared-topology.ts'
import type { CountingSensor } from './counting-sensor.ts'
import type { ConnectedWorker } from './connected-worker.ts'
import type { WorkerLife } from './worker-life.ts'
import type { Quiet } from './worker.ts'

/** What statistics are made from. */
export interface WorkerView {
  readonly status: WorkerStatus
  /** It has been running, once at least. */
  readonly hasRun: boolean
  readonly life: WorkerLife
  /** `undefined` before the worker is connected. */
  readonly worker: ConnectedWorker | undefined
  readonly sensor: CountingSensor
}

export function statsOf({ status, hasRun, life, worker, sensor }: WorkerView): WorkerStats {
  const { budget, delays } = life.sending
  const { subscriptions, topology } = life
  return {
    status,
    agents: agentStats(subscriptions),
    parts: Object.fromEntries(topology.states.map(({ name }) => [name, partStats(name, worker)])),
    sources: sourceStats(worker),
    waitingFor: waitingStats(worker),
    flows: flowStats(subscriptions),
    commits: {
      ...(worker?.tasks.commits.stats ?? { count: 0, lastMs: 0 }),
      at: sensor.committedAt,
      durations: sensor.commitTimes.figures(),
    },
    group: groupStats(life, worker),
    brokers: life.environment.transport.brokers(),
    opening: {
      tasks: worker?.tasks.opening.count ?? 0,
      forMs: worker?.tasks.opening.forMs ?? 0,
      isFirst: !hasRun,
    },
    rebalances: worker?.member.rebalances ?? 0,
    lastRebalance: sensor.rebalance && { ...sensor.rebalance, reason: worker?.member.reason ?? '' },
    sent: sensor.sent,
    clampedTimestamps: sensor.clampedTimestamps,
    brokenBatches: worker?.brokenBatches.passed ?? 0,
    errors: sensor.errors,
    errorsBySource: sensor.errorsBySource,
    abortedTransactions: life.sending.transactions.aborted,
    lastErrors: [...sensor.lastErrors],
    pendingSends: { bytes: budget.bytes, full: budget.full },
    delays: delays.stats,
    changedRows: { bytes: worker?.tasks.changedRows.bytes ?? 0, full: worker?.tasks.changedRows.full ?? false },
  }
}

export function assignmentOf({ life, worker }: WorkerView): AssignmentView {
  const group = worker?.member.group
  const hasLeader = life.subscriptions.some(({ spec }) => spec.agent === LEADER_AGENT)
  return {
    memberId: worker?.member.name,
    tasks: [...(worker?.tasks.all.values() ?? [])].map((task) => ({
      id: task.id,
      state: task.running ? 'running' : 'opening',
      sources: task.assigned,
      parts: worker?.topics.statesWith(task.partitions).map(({ name }) => name) ?? [],
    })),
    group: group?.owners ?? new Map(),
    members: group?.members ?? new Map(),
    // The leader topic has one partition.
    leader: hasLeader ? group?.owners.get(taskId(1, 0)) : undefined,
    unassigned: group?.unassigned ?? [],
  }
}

export function quietOf({ status, life, worker }: WorkerView): Quiet {
  const inFlight: string[] = []
  const { budget, delays } = life.sending
  const sources = (worker?.tasks.running ?? []).flatMap((task) => task.sources)
  if (status === 'starting' || status === 'stopping') inFlight.push(`the worker is ${status}`)
  if (worker?.isRebalancing === true) inFlight.push('a rebalance')
  if (worker !== undefined && worker.tasks.opening.count > 0)
    inFlight.push(`recovery of ${worker.tasks.opening.count} tasks`)
  if (worker !== undefined && worker.standbys.waiting > 0) inFlight.push(`copies of ${worker.standbys.waiting} tasks`)
  if (worker?.tasks.committer.isBusy === true) inFlight.push('a commit')
  if (worker?.tasks.changedRows.full === true) inFlight.push('changed rows that must be stored first')
  if (budget.bytes > 0) inFlight.push(`sends of ${budget.bytes} bytes`)
  for (const delay of delays.stats) inFlight.push(`sends to ${partitionKey(delay)}, which takes none just now`)
  inFlight.push(...(worker?.tasks.describeInFlight() ?? []))
  for (const { spec, queues } of life.subscriptions)
    if (queues.some((queue) => queue.hasNext)) inFlight.push(`events that wait for agent ${spec.agent}`)
  const positions = sources.map(({ source: { topic, partition, position } }) => ({ topic, partition, position }))
  const finished = sources.map(({ source: { topic, partition }, cursors }) => ({
    topic,
    partition,
    offset: Math.min(...cursors.map(({ tracker }) => tracker.position)),
  }))
  const atWork = life.subscriptions.flatMap(({ queues }) => queues.flatMap((queue) => queue.atWork ?? []))
  return { idle: inFlight.length === 0, inFlight, atWork, positions, finished }
}

function groupStats({ lease }: WorkerLife, worker: ConnectedWorker | undefined): GroupStats {
  const { state, forMs } = worker?.membership ?? { state: 'joining', forMs: 0 }
  return { state, forMs, heartbeatAgeMs: lease.ageMs, leaseExpiredMs: lease.expiredMs }
}

function waitingStats(worker: ConnectedWorker | undefined): readonly WaitingStats[] {
  if (worker === undefined) return []
  return [...worker.tasks.all.values()].flatMap((task) =>
    task.assigned.flatMap(({ topic, partition }) =>
      worker.tasks.subscriptions.flatMap(({ spec }) => {
        if (!spec.topics.includes(topic) || spec.agent === LEADER_AGENT) return []
        const blocked = task.whyNotAsBits({ topic, partition }, spec.id) & ~PASSING
        const why = inWords(blocked)
        if (why === undefined) return []
        const isBusy = (blocked & NOT_NOW.busy) !== 0
        const atWork = isBusy ? `; in flight: ${worker.tasks.describeInFlight(spec.agent).join(', ')}` : ''
        const reasons = reasonsOf(blocked)
        return [{ topic, partition, task: task.id, agent: spec.agent, reasons, why: `${why}${atWork}` }]
      }),
    ),
  )
}

function agentStats(subscriptions: readonly Subscription[]): Readonly<Record<string, AgentStats>> {
  const agents: Record<string, AgentStats> = {}
  for (const { spec, counters, cursors } of subscriptions) {
    if (spec.agent === LEADER_AGENT) continue
    const sum = agents[spec.agent] ?? { received: 0, processed: 0, failed: 0, retried: 0, active: 0, lag: 0 }
    agents[spec.agent] = {
      received: sum.received + counters.received,
      processed: sum.processed + counters.processed,
      failed: sum.failed + counters.failed,
      retried: sum.retried + counters.retried,
      active: sum.active + counters.active,
      lag: cursors.reduce((total, cursor) => total + lagOf(cursor), sum.lag),
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
        (sum, { tracker, source }) => (source.topic === topic ? sum + tracker.handed : sum),
        0,
      )
      flows.push({ agent, topic, direction: 'in', records })
    }
    for (const { topic, records } of counters.sentTo) flows.push({ agent, topic, direction: 'out', records })
  }
  return flows
}

function partStats(name: string, worker: ConnectedWorker | undefined): PartStats {
  const open = (worker?.tasks.running ?? []).flatMap((task) =>
    task.states
      .filter(({ definition }) => definition.name === name)
      .map(({ store }) => ({ partition: task.partition, rows: store.rows })),
  )
  return {
    partitions: open.map(({ partition }) => partition).toSorted((a, b) => a - b),
    rows: open.reduce((sum, { rows }) => sum + rows, 0),
    recovery: worker?.tasks.recovery.stats(name, open.length > 0) ?? {
      state: 'none',
      restoredRows: 0,
      remainingRows: 0,
      rowsPerSecond: 0,
    },
    standbys: worker?.standbys.of(name) ?? [],
  }
}

function sourceStats(worker: ConnectedWorker | undefined): readonly SourceStats[] {
  if (worker === undefined) return []
  const { clock } = worker.tasks.environment
  return worker.tasks.running
    .flatMap((task) =>
      task.sources.map(({ source, cursors }) => ({
        topic: source.topic,
        partition: source.partition,
        task: task.id,
        position: Math.min(...cursors.map(({ tracker }) => tracker.readTo)),
        committed: source.committed,
        endOffset: source.endOffset,
        bufferedBytes: source.bytes,
        lags: Object.fromEntries(cursors.map((cursor) => [cursor.subscription.spec.agent, lagOf(cursor)])),
        paused: worker.tasks.flow.pauseReason(source),
        stalledMs:
          source.position === (source.committed ?? source.position)
            ? 0
            : Math.max(clock.monotonic() - source.movedAtMs, 0),
      })),
    )
    .toSorted((a, b) => (partitionKey(a) < partitionKey(b) ? -1 : 1))
}

/** Records up to the end of the partition that an agent has not finished, gaps of the log counted in. */
function lagOf({ tracker, source }: PartitionCursor): number {
  return Math.max((source.endOffset ?? 0) - tracker.position, 0)
}
