import { partitionKey } from '@millrace/core'
import type { AssignmentView } from '../contracts/group.ts'
import type {
  AgentStats,
  FlowStats,
  GroupStats,
  SourceStats,
  StateStats,
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
import type { Quiet } from '../contracts/worker.ts'
import type { GroupMember } from './group-member.ts'
import type { Worker } from './worker.ts'

/** The source of the statistics. */
export interface WorkerView {
  readonly status: WorkerStatus
  /** Whether the worker has ever been running. */
  readonly hasRun: boolean
  readonly worker: Worker
  /** `undefined` before the worker is connected. */
  readonly member: GroupMember | undefined
  readonly sensor: CountingSensor
}

export function statsOf({ status, hasRun, worker, member, sensor }: WorkerView): WorkerStats {
  const { budget, delays } = worker.sending
  const { subscriptions, topology } = worker
  const agents = agentStats(subscriptions)
  return {
    status,
    agents,
    states: Object.fromEntries(topology.states.map(({ name }) => [name, stateStats(name, member)])),
    sources: sourceStats(member),
    lag: Object.values(agents).reduce((sum, { lag }) => sum + lag, 0),
    waitingFor: waitingStats(member),
    watermarks: (member?.tasks.running ?? []).flatMap(({ time }) => time?.watermarks() ?? []),
    flows: flowStats(subscriptions),
    commits: {
      ...(member?.tasks.commits.stats ?? { count: 0, lastMs: 0 }),
      at: sensor.committedMs === undefined ? undefined : new Date(sensor.committedMs).toISOString(),
    },
    group: groupStats(worker, member),
    brokers: worker.environment.transport.brokers(),
    opening: {
      tasks: member?.tasks.opening.count ?? 0,
      forMs: member?.tasks.opening.forMs ?? 0,
      isFirst: !hasRun,
    },
    rebalances: member?.member.rebalances ?? 0,
    lastRebalance: sensor.rebalance && { ...sensor.rebalance, reason: member?.member.reason ?? '' },
    sent: sensor.sent,
    clampedTimestamps: sensor.clampedTimestamps,
    brokenBatches: member?.brokenBatches.passed ?? 0,
    errors: sensor.errors,
    errorsBySource: sensor.errorsBySource,
    abortedTransactions: worker.sending.transactions.aborted,
    lastErrors: [...sensor.lastErrors],
    pendingSends: { bytes: budget.bytes, full: budget.full },
    delays: delays.stats,
    changedRows: { bytes: member?.tasks.changedRows.bytes ?? 0, full: member?.tasks.changedRows.full ?? false },
  }
}

export function assignmentOf({ worker, member }: WorkerView): AssignmentView {
  const group = member?.member.group
  const hasLeader = worker.subscriptions.some(({ spec }) => spec.agent === LEADER_AGENT)
  return {
    memberId: member?.member.name,
    tasks: [...(member?.tasks.all.values() ?? [])].map((task) => ({
      id: task.id,
      state: task.running ? 'running' : 'opening',
      sources: task.assigned,
      parts: member?.topics.statesWith(task.partitions).map(({ name }) => name) ?? [],
    })),
    group: group?.owners ?? new Map(),
    members: group?.members ?? new Map(),
    // The leader topic has one partition.
    leader: hasLeader ? group?.owners.get(taskId(1, 0)) : undefined,
    unassigned: group?.unassigned ?? [],
  }
}

export function quietOf({ status, worker, member }: WorkerView): Quiet {
  const inFlight: string[] = []
  const { budget, delays } = worker.sending
  const sources = (member?.tasks.running ?? []).flatMap((task) => task.sources)
  if (status === 'starting' || status === 'stopping') inFlight.push(`the worker is ${status}`)
  if (member?.isRebalancing === true) inFlight.push('a rebalance')
  if (member !== undefined && member.tasks.opening.count > 0)
    inFlight.push(`recovery of ${member.tasks.opening.count} tasks`)
  if (member !== undefined && member.standbys.waiting > 0) inFlight.push(`copies of ${member.standbys.waiting} tasks`)
  if (member?.tasks.committer.isBusy === true) inFlight.push('a commit')
  if (member?.tasks.changedRows.full === true) inFlight.push('changed rows that must be stored first')
  if (budget.bytes > 0) inFlight.push(`sends of ${budget.bytes} bytes`)
  for (const delay of delays.stats) inFlight.push(`sends to ${partitionKey(delay)}, which accepts none at present`)
  inFlight.push(...(member?.tasks.describeInFlight() ?? []))
  if (member?.tasks.running.some(({ isAligning }) => isAligning) === true) inFlight.push('a search for earlier events')
  for (const { spec, queues } of worker.subscriptions)
    if (queues.some((queue) => queue.hasNext)) inFlight.push(`events that wait for agent ${spec.agent}`)
  const positions = sources.map(({ source: { topic, partition, position } }) => ({ topic, partition, position }))
  const finished = sources.map(({ source: { topic, partition }, cursors }) => ({
    topic,
    partition,
    offset: Math.min(...cursors.map(({ tracker }) => tracker.position)),
  }))
  const atWork = worker.subscriptions.flatMap(({ queues }) => queues.flatMap((queue) => queue.atWork ?? []))
  return { idle: inFlight.length === 0, inFlight, atWork, positions, finished }
}

function groupStats({ lease }: Worker, member: GroupMember | undefined): GroupStats {
  const { state, forMs } = member?.membership ?? { state: 'joining', forMs: 0 }
  return { state, forMs, heartbeatAgeMs: lease.ageMs, leaseExpiredMs: lease.expiredMs }
}

function waitingStats(member: GroupMember | undefined): readonly WaitingStats[] {
  if (member === undefined) return []
  return [...member.tasks.all.values()].flatMap((task) =>
    task.assigned.flatMap(({ topic, partition }) =>
      member.tasks.subscriptions.flatMap(({ spec }) => {
        if (!spec.topics.includes(topic) || spec.agent === LEADER_AGENT) return []
        const blocked = task.whyNotAsBits({ topic, partition }, spec.id) & ~PASSING
        const why = inWords(blocked)
        if (why === undefined) return []
        const isBusy = (blocked & NOT_NOW.busy) !== 0
        const atWork = isBusy ? `; in flight: ${member.tasks.describeInFlight(spec.agent).join(', ')}` : ''
        const reasons = reasonsOf(blocked)
        return [{ topic, partition, task: task.id, agent: spec.agent, reasons, why: `${why}${atWork}` }]
      }),
    ),
  )
}

const NO_EVENTS: AgentStats = { received: 0, processed: 0, failed: 0, retried: 0, deadLettered: 0, active: 0, lag: 0 }

function agentStats(subscriptions: readonly Subscription[]): Readonly<Record<string, AgentStats>> {
  const agents = new Map<string, AgentStats>()
  for (const { spec, counters, cursors } of subscriptions) {
    if (spec.agent === LEADER_AGENT) continue
    const sum = agents.get(spec.agent) ?? NO_EVENTS
    agents.set(spec.agent, {
      received: sum.received + counters.received,
      processed: sum.processed + counters.processed,
      failed: sum.failed + counters.failed,
      retried: sum.retried + counters.retried,
      deadLettered: 0,
      active: sum.active + counters.active,
      lag: cursors.reduce((total, cursor) => total + lagOf(cursor), sum.lag),
    })
  }
  // A plain object would confuse an agent's name with a property of every object, such as `constructor`.
  return Object.fromEntries(agents)
}

function flowStats(subscriptions: readonly Subscription[]): readonly FlowStats[] {
  const flows: FlowStats[] = []
  for (const { spec, counters, cursors, due } of subscriptions) {
    const { agent } = spec
    if (agent === LEADER_AGENT) continue
    if (spec.due !== undefined) {
      const records = due.reduce((sum, { tracker }) => sum + tracker.handed, 0)
      flows.push({ from: `table:${spec.due.name}`, to: `agent:${agent}`, records })
    }
    for (const topic of spec.topics) {
      const records = cursors.reduce(
        (sum, { tracker, source }) => (source.topic === topic ? sum + tracker.handed : sum),
        0,
      )
      // Beside what a state has due there are only replays, which are rare.
      if (spec.due !== undefined && records === 0) continue
      flows.push({ from: `topic:${topic}`, to: `agent:${agent}`, records })
    }
    for (const { topic, records } of counters.sentTo)
      flows.push({ from: `agent:${agent}`, to: `topic:${topic}`, records })
  }
  return flows
}

function stateStats(name: string, member: GroupMember | undefined): StateStats {
  const open = (member?.tasks.running ?? []).flatMap((task) =>
    task.states
      .filter(({ definition }) => definition.name === name)
      .map(({ open: state, store }) => ({ partition: task.partition, rows: state.rows ?? store.rows })),
  )
  return {
    partitions: open.map(({ partition }) => partition).toSorted((a, b) => a - b),
    rows: open.reduce((sum, { rows }) => sum + rows, 0),
    recovery: member?.tasks.recovery.stats(name, open.length > 0) ?? {
      state: 'none',
      restoredRows: 0,
      remainingRows: 0,
      rowsPerSecond: 0,
    },
    standbys: member?.standbys.of(name) ?? [],
  }
}

function sourceStats(member: GroupMember | undefined): readonly SourceStats[] {
  if (member === undefined) return []
  const { clock } = member.tasks.environment
  return member.tasks.running
    .flatMap((task) =>
      task.sources.map(({ source, cursors }) => {
        const reading = cursors.filter(({ isHeld }) => !isHeld)
        const heldAgents = cursors.flatMap(({ isHeld, subscription }) => (isHeld ? [subscription.spec.agent] : []))
        const isDone =
          source.position === (source.committed ?? source.position) ||
          (heldAgents.length > 0 && reading.every((cursor) => lagOf(cursor) === 0))
        const lags = cursors.map((cursor) => [cursor.subscription.spec.agent, lagOf(cursor)] as const)
        return {
          topic: source.topic,
          partition: source.partition,
          task: task.id,
          position: Math.min(...(reading.length > 0 ? reading : cursors).map(({ tracker }) => tracker.readTo)),
          heldAgents: [...new Set(heldAgents)],
          committed: source.committed,
          endOffset: source.endOffset,
          bufferedBytes: source.bytes,
          skewed: Math.max(0, ...cursors.map(({ times }) => times?.skewed ?? 0)),
          lags: Object.fromEntries(lags),
          lag: Math.max(0, ...lags.map(([, lag]) => lag)),
          paused: member.tasks.flow.pauseReason(source),
          stalledMs: isDone ? 0 : Math.max(clock.monotonic() - source.movedAtMs, 0),
        }
      }),
    )
    .toSorted((a, b) => (partitionKey(a) < partitionKey(b) ? -1 : 1))
}

/** Records up to the end of the partition that an agent has not finished, counting gaps of the log. */
function lagOf({ tracker, source }: PartitionCursor): number {
  return Math.max((source.endOffset ?? 0) - tracker.position, 0)
}
