import type { MetricLabels, MetricSample, MetricsWriter } from '@millrace/core'
import type { SiteStats } from '../site-stats.ts'
import type { WorkerHistograms } from '../site-app.ts'

const STATUSES = ['starting', 'recovering', 'running', 'stopping', 'stopped', 'failed'] as const
const GROUP_STATES = ['none', 'joining', 'member', 'rebalancing', 'out'] as const

/** The parts of a worker that are shown. */
export interface MetricsSource {
  readonly stats: SiteStats
  readonly histograms: WorkerHistograms
  readonly ready: boolean
  /** By agent. */
  readonly waitingLetters: Readonly<Record<string, number>>
}

/** A metric with one number for each thing of a kind; `undefined` if there is no number yet. */
type Figure<T> = readonly [kind: 'counter' | 'gauge', name: string, help: string, of: (thing: T) => number | undefined]

const OF_WORKER: readonly Figure<MetricsSource>[] = [
  ['gauge', 'ready', '1 when the worker is ready, as at /health/ready.', ({ ready }) => (ready ? 1 : 0)],
  [
    'gauge',
    'worker_start_time_seconds',
    'Unix time at which the worker started.',
    ({ stats }) => seconds(stats.worker.startedAt),
  ],
  [
    'gauge',
    'buffered_bytes',
    'Bytes fetched and not handed out.',
    ({ stats }) => stats.sources.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0),
  ],
  [
    'gauge',
    'heartbeat_age_seconds',
    'Time since the last successful heartbeat was sent; absent before the first, and with the embedded broker.',
    ({ stats: { group } }) => inSeconds(group.heartbeatAgeMs),
  ],
  [
    'gauge',
    'lease_expired_seconds',
    'Time since the lease on the partitions expired; 0 while it is held.',
    ({ stats }) => inSeconds(stats.group.leaseExpiredMs),
  ],
  ['counter', 'commits_total', 'Commits.', ({ stats }) => stats.commits.count],
  [
    'gauge',
    'commit_last_duration_seconds',
    'Duration of the last commit; absent before the first.',
    ({ stats: { commits } }) => (commits.count === 0 ? undefined : inSeconds(commits.lastMs)),
  ],
  ['counter', 'rebalances_total', 'Rebalances of the group.', ({ stats }) => stats.rebalances],
  [
    'counter',
    'records_sent_total',
    'Records acknowledged by the broker, changelog rows included.',
    ({ stats }) => stats.sent,
  ],
  [
    'counter',
    'clamped_timestamps_total',
    'Records read whose timestamp is not a valid date.',
    ({ stats }) => stats.clampedTimestamps,
  ],
  [
    'counter',
    'broken_batches_total',
    'Batches that could not be read and were skipped.',
    ({ stats }) => stats.brokenBatches,
  ],
  [
    'counter',
    'transactions_aborted_total',
    'Aborted transactions; their work is done again.',
    ({ stats }) => stats.abortedTransactions,
  ],
  ['gauge', 'pending_send_bytes', 'Bytes sent but not yet acknowledged.', ({ stats }) => stats.pendingSends.bytes],
  ['gauge', 'changed_row_bytes', 'Bytes of changed rows not yet stored.', ({ stats }) => stats.changedRows.bytes],
]

const OF_AGENTS: readonly Figure<SiteStats['agents'][string]>[] = [
  ['counter', 'agent_events_received_total', 'Events handed out.', ({ received }) => received],
  ['counter', 'agent_events_processed_total', 'Events finished.', ({ processed }) => processed],
  ['counter', 'agent_events_failed_total', 'Attempts that failed.', ({ failed }) => failed],
  ['counter', 'agent_events_retried_total', 'Attempts made again.', ({ retried }) => retried],
  [
    'counter',
    'agent_events_dead_lettered_total',
    'Events sent to the dead letter topic.',
    ({ deadLettered }) => deadLettered,
  ],
  [
    'gauge',
    'agent_events_waiting',
    'Events that wait outside of their partitions for their next attempt, or behind an event that does.',
    ({ waiting }) => waiting?.events,
  ],
  [
    'gauge',
    'agent_next_retry_timestamp_seconds',
    'When the next waiting event is due, as Unix time; absent if none waits.',
    ({ waiting }) => seconds(waiting?.next),
  ],
  ['gauge', 'agent_events_active', 'Events in flight.', ({ active }) => active],
  ['gauge', 'agent_lag', 'Records behind the end of the partitions here.', ({ lag }) => lag],
  ['gauge', 'agent_paused', '1 while the agent is paused, on all workers.', ({ paused }) => (paused ? 1 : 0)],
  ['counter', 'agent_events_late_total', 'Events that came too late for a join.', ({ late = 0 }) => late],
]

const OF_TABLES: readonly Figure<SiteStats['tables'][string]>[] = [
  ['gauge', 'table_rows', 'Rows in the partitions here.', ({ rows }) => rows],
  ['gauge', 'table_partitions', 'Partitions here.', ({ partitions }) => partitions.length],
  ['counter', 'table_reads_total', 'Reads.', ({ reads }) => reads],
  ['counter', 'table_writes_total', 'Writes.', ({ writes }) => writes],
  [
    'gauge',
    'table_recovery_remaining_rows',
    'Upper bound on the rows still to be recovered.',
    ({ recovery }) => recovery.remainingRows,
  ],
  ['counter', 'table_recovered_rows_total', 'Rows recovered.', ({ recovery }) => recovery.restoredRows],
  ['gauge', 'table_windows_open', 'Windows that have rows and take events.', ({ windows }) => windows?.open],
  [
    'counter',
    'table_windows_closed_total',
    'Keys of closed windows that an agent has handled.',
    ({ windows }) => windows?.closed,
  ],
  [
    'counter',
    'table_late_events_total',
    'Events that came after all of their windows were closed.',
    ({ late, windows }) => (windows === undefined ? undefined : late),
  ],
  [
    'gauge',
    'table_oldest_open_window_timestamp_seconds',
    'Start of the oldest open window, as Unix time; absent if none is open.',
    ({ windows }) => seconds(windows?.oldestOpen),
  ],
  ['counter', 'table_expired_rows_total', 'Rows that have reached their ttl.', ({ expired }) => expired],
  ['counter', 'table_timers_fired_total', 'Timers of keys that have fired.', ({ timers }) => timers?.fired],
  [
    'gauge',
    'table_next_timer_timestamp_seconds',
    'When the next timer of a key is due, as Unix time; absent if there is none.',
    ({ timers }) => seconds(timers?.next),
  ],
]

const OF_JOBS: readonly Figure<SiteStats['jobs'][string]>[] = [
  ['counter', 'job_runs_total', 'Runs.', ({ runs }) => runs],
  ['counter', 'job_failures_total', 'Runs that failed.', ({ failures }) => failures],
  ['counter', 'job_skipped_total', 'Skipped slots.', ({ skipped }) => skipped],
  ['gauge', 'job_last_run_timestamp_seconds', 'Unix time of the last run.', ({ lastRun }) => seconds(lastRun)],
  ['gauge', 'job_next_run_timestamp_seconds', 'Unix time of the next run.', ({ nextRun }) => seconds(nextRun)],
]

const OF_PARTITIONS: readonly Figure<SiteStats['sources'][number]>[] = [
  ['gauge', 'partition_position', 'Next offset to hand out.', ({ position }) => position],
  ['gauge', 'partition_committed_offset', 'Committed offset.', ({ committed }) => committed],
  ['gauge', 'partition_end_offset', 'End of the log when last seen.', ({ endOffset }) => endOffset],
  [
    'counter',
    'partition_skewed_timestamps_total',
    'Events whose times were more than maxFutureSkew ahead, so that they moved no watermark.',
    ({ skewed }) => skewed,
  ],
]

const OF_WATERMARKS: readonly Figure<SiteStats['watermarks'][number]>[] = [
  [
    'gauge',
    'watermark_timestamp_seconds',
    'How far event time has come in a state, or on its way into a repartition topic, as Unix time; time() minus it is how far it is behind. Absent before the first event.',
    ({ watermark }) => seconds(watermark),
  ],
]

/** All metrics of a worker. */
export function writeWorkerMetrics(metric: MetricsWriter, source: MetricsSource): void {
  const { stats, histograms, waitingLetters } = source
  const { agents, brokers, group, sources, watermarks } = stats
  metric.gauge('info', 'Always 1; says which worker this is.', [
    [{ app: stats.app, worker: stats.worker.id, version: stats.worker.version }, 1],
  ])
  metric.gauge(
    'worker_status',
    '1 for the worker’s current status.',
    STATUSES.map((status) => [{ status }, stats.status === status ? 1 : 0]),
  )
  write(metric, OF_WORKER, [[{}, source]])
  write(metric, OF_AGENTS, named('agent', agents))
  metric.gauge(
    'agent_dead_letters_waiting',
    'Dead letters not yet replayed, among about the newest 200 of the agent; counted every five minutes, the same on each worker.',
    named('agent', waitingLetters),
  )
  metric.histogram(
    'agent_event_duration_seconds',
    'How long an event or a batch is in flight; sampled, each sample counts for the events since the one before.',
    named('agent', histograms.agents).map(([labels, { handling }]) => [labels, handling]),
  )
  metric.histogram(
    'agent_event_latency_seconds',
    "Time from a record's timestamp to the end of its handling, by the same samples and the clock of this machine.",
    named('agent', histograms.agents).map(([labels, { latency }]) => [labels, latency]),
  )
  write(metric, OF_TABLES, named('table', stats.tables))
  write(metric, OF_JOBS, named('job', stats.jobs))
  write(
    metric,
    OF_PARTITIONS,
    sources.map((one) => [{ topic: one.topic, partition: String(one.partition) }, one]),
  )
  write(
    metric,
    OF_WATERMARKS,
    watermarks.map((one) => [{ name: one.name, kind: one.kind, task: one.task }, one]),
  )
  metric.gauge(
    'watermark_held_seconds',
    'How long that which holds back the watermark has stood still; reason event: an unfinished event, records: records that are not handed out. watermarks in /stats names it.',
    watermarks.flatMap(({ name, kind, task, heldBy }): readonly MetricSample[] =>
      heldBy === undefined ? [] : [[{ name, kind, task, reason: heldBy.reason }, heldBy.forMs / 1000]],
    ),
  )
  metric.gauge(
    'partitions_paused',
    'Partitions whose fetching is paused because the buffered or uncommitted records reached a limit.',
    ['buffer', 'uncommitted'].map((reason) => [{ reason }, sources.filter(({ paused }) => paused === reason).length]),
  )
  metric.gauge(
    'partitions_waiting',
    'Partitions whose events are not handed out to the agent; waitingFor in /stats says why.',
    Object.keys(agents).map((agent) => [{ agent }, stats.waitingFor.filter((one) => one.agent === agent).length]),
  )
  metric.gauge(
    'group_state',
    '1 for the worker’s state in the group; out: the group went on without this worker.',
    GROUP_STATES.map((state) => [{ state }, group.state === state ? 1 : 0]),
  )
  const reachable = brokers.filter(({ isReachable }) => isReachable).length
  metric.gauge('brokers', 'Brokers that the worker uses, by whether its last connection to each is up.', [
    [{ state: 'reachable' }, reachable],
    [{ state: 'unreachable' }, brokers.length - reachable],
  ])
  metric.histogram('commit_duration_seconds', 'Duration of commits.', [[{}, histograms.commits]])
  const none = Object.fromEntries(['worker', ...Object.keys(agents)].map((name) => [name, 0]))
  metric.counter(
    'errors_total',
    'Errors of user code and of the worker, by source: an agent, a job, a page, the worker itself.',
    named('source', { ...none, ...stats.errorsBySource }),
  )
}

type Labelled<T> = readonly (readonly [labels: MetricLabels, thing: T])[]

function named<T>(label: string, things: Readonly<Record<string, T>>): Labelled<T> {
  return Object.entries(things).map(([name, thing]) => [{ [label]: name }, thing])
}

function write<T>(metric: MetricsWriter, figures: readonly Figure<T>[], things: Labelled<T>): void {
  for (const [kind, name, help, of] of figures)
    metric[kind](
      name,
      help,
      things.flatMap(([labels, thing]): readonly MetricSample[] => {
        const number = of(thing)
        return number === undefined ? [] : [[labels, number]]
      }),
    )
}

function seconds(date: string | undefined): number | undefined {
  return date === undefined ? undefined : Date.parse(date) / 1000
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}
