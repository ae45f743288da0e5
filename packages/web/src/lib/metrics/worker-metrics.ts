import type { MetricSample, MetricsWriter, SiteStats, SourceStats } from '@millrace/core'
import type { WorkerHistograms } from '../site-app.ts'

const STATUSES = ['starting', 'recovering', 'running', 'stopping', 'stopped', 'failed'] as const

/** What is shown of a worker. */
export interface MetricsSource {
  readonly stats: SiteStats
  readonly histograms: WorkerHistograms
  readonly ready: boolean
  /** By agent. */
  readonly waitingLetters: Readonly<Record<string, number>>
}

/** Everything that there is of a worker. */
export function writeWorkerMetrics(
  metric: MetricsWriter,
  { stats, histograms, ready, waitingLetters }: MetricsSource,
): void {
  metric.gauge('info', 'Always 1; says which worker this is.', [
    [{ app: stats.app, worker: stats.worker.id, version: stats.worker.version }, 1],
  ])
  metric.gauge(
    'worker_status',
    '1 for the status that the worker has.',
    STATUSES.map((status) => [{ status }, stats.status === status ? 1 : 0]),
  )
  metric.gauge('ready', '1 when the worker is ready, as at /health/ready.', [[{}, ready ? 1 : 0]])
  metric.gauge('worker_start_time_seconds', 'Unix time at which the worker started.', [
    [{}, Date.parse(stats.worker.startedAt) / 1000],
  ])

  const agents = rowsOf('agent', stats.agents)
  metric.counter(
    'agent_events_received_total',
    'Events handed out.',
    agents((agent) => agent.received),
  )
  metric.counter(
    'agent_events_processed_total',
    'Events finished.',
    agents((agent) => agent.processed),
  )
  metric.counter(
    'agent_events_failed_total',
    'Attempts that failed.',
    agents((agent) => agent.failed),
  )
  metric.counter(
    'agent_events_retried_total',
    'Attempts made again.',
    agents((agent) => agent.retried),
  )
  metric.counter(
    'agent_events_dead_lettered_total',
    'Events sent to the dead letter topic.',
    agents((agent) => agent.deadLettered),
  )
  metric.gauge(
    'agent_dead_letters_waiting',
    'Dead letters that were not replayed, among the newest 200 or so of the agent; counted every five minutes, the same on each worker.',
    Object.entries(waitingLetters).map(([agent, waiting]) => [{ agent }, waiting]),
  )
  metric.gauge(
    'agent_events_active',
    'Events in flight.',
    agents((agent) => agent.active),
  )
  metric.gauge(
    'agent_lag',
    'Records behind the end of the partitions here.',
    agents((agent) => agent.lag),
  )

  metric.histogram(
    'agent_event_duration_seconds',
    'How long an event, or a batch, is in flight, by samples that each count for the events since the one before.',
    Object.entries(histograms.agents).map(([agent, { handling }]) => [{ agent }, handling]),
  )
  metric.histogram(
    'agent_event_latency_seconds',
    "From a record's timestamp to the end of its handling, by the same samples and the clock of this machine.",
    Object.entries(histograms.agents).map(([agent, { latency }]) => [{ agent }, latency]),
  )

  const tables = rowsOf('table', stats.tables)
  metric.gauge(
    'table_rows',
    'Rows in the partitions here.',
    tables((table) => table.rows),
  )
  metric.gauge(
    'table_partitions',
    'Partitions here.',
    tables((table) => table.partitions.length),
  )
  metric.counter(
    'table_reads_total',
    'Reads.',
    tables((table) => table.reads),
  )
  metric.counter(
    'table_writes_total',
    'Writes.',
    tables((table) => table.writes),
  )
  metric.gauge(
    'table_recovery_remaining_rows',
    'Rows still to be recovered, at most.',
    tables((table) => table.recovery.remainingRows),
  )
  metric.counter(
    'table_recovered_rows_total',
    'Rows recovered.',
    tables((table) => table.recovery.restoredRows),
  )

  const jobs = rowsOf('job', stats.jobs)
  metric.counter(
    'job_runs_total',
    'Runs.',
    jobs((job) => job.runs),
  )
  metric.counter(
    'job_failures_total',
    'Runs that failed.',
    jobs((job) => job.failures),
  )
  metric.counter(
    'job_skipped_total',
    'Slots that were skipped.',
    jobs((job) => job.skipped),
  )
  metric.gauge(
    'job_last_run_timestamp_seconds',
    'Unix time of the last run.',
    jobs((job) => seconds(job.lastRun)),
  )
  metric.gauge(
    'job_next_run_timestamp_seconds',
    'Unix time of the next run.',
    jobs((job) => seconds(job.nextRun)),
  )

  const partitions = (value: (source: SourceStats) => number | undefined): readonly MetricSample[] =>
    stats.sources.flatMap((source) => {
      const number = value(source)
      return number === undefined
        ? []
        : [[{ topic: source.topic, partition: String(source.partition) }, number] as const]
    })
  metric.gauge(
    'partition_position',
    'Next offset to hand out.',
    partitions((source) => source.position),
  )
  metric.gauge(
    'partition_committed_offset',
    'Committed offset.',
    partitions((source) => source.committed),
  )
  metric.gauge(
    'partition_end_offset',
    'End of the log as last seen.',
    partitions((source) => source.endOffset),
  )

  const paused = (reason: string): number => stats.sources.filter((source) => source.paused === reason).length
  metric.gauge(
    'partitions_paused',
    'Partitions that are not fetched: their records are at a bound, in the buffer or not committed.',
    ['buffer', 'uncommitted'].map((reason) => [{ reason }, paused(reason)]),
  )
  metric.gauge(
    'partitions_waiting',
    'Partitions of which no event is handed out to the agent; waitingFor in /stats says why.',
    agents((agent) => stats.waitingFor.filter((waiting) => stats.agents[waiting.agent] === agent).length),
  )
  metric.gauge('buffered_bytes', 'Bytes fetched and not handed out.', [
    [{}, stats.sources.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0)],
  ])
  writeGroupMetrics(metric, stats)

  metric.counter('commits_total', 'Commits.', [[{}, stats.commits.count]])
  metric.histogram('commit_duration_seconds', 'How long commits took.', [[{}, histograms.commits]])
  metric.gauge('commit_last_duration_seconds', 'How long the last commit took.', [[{}, stats.commits.lastMs / 1000]])
  metric.counter('rebalances_total', 'Rebalances of the group.', [[{}, stats.rebalances]])
  metric.counter('records_sent_total', 'Records acknowledged by the broker, changelog rows included.', [
    [{}, stats.sent],
  ])
  metric.counter('clamped_timestamps_total', 'Records read whose time no date can be.', [[{}, stats.clampedTimestamps]])
  metric.counter('broken_batches_total', 'Batches that could not be read and were passed over.', [
    [{}, stats.brokenBatches],
  ])
  const sources = { worker: 0, ...Object.fromEntries(Object.keys(stats.agents).map((agent) => [agent, 0])) }
  metric.counter(
    'errors_total',
    'Errors of user code and of the worker, by what had them: an agent, a job, a page, the worker itself.',
    Object.entries({ ...sources, ...stats.errorsBySource }).map(([source, count]) => [{ source }, count]),
  )
  metric.counter('transactions_aborted_total', 'Transactions that came to nothing; what was in them is done again.', [
    [{}, stats.abortedTransactions],
  ])
  metric.gauge('outbox_bytes', 'Bytes sent and not yet acknowledged.', [[{}, stats.outbox.bytes]])
  metric.gauge('changed_row_bytes', 'Bytes of rows changed and not yet stored.', [[{}, stats.changedRows.bytes]])
}

const GROUP_STATES = ['none', 'joining', 'member', 'rebalancing', 'out'] as const

/** How it stands with the group and the broker. */
function writeGroupMetrics(metric: MetricsWriter, { group, brokers }: SiteStats): void {
  metric.gauge(
    'group_state',
    '1 for how it stands with the group; out: it has gone on without this worker.',
    GROUP_STATES.map((state) => [{ state }, group.state === state ? 1 : 0]),
  )
  metric.gauge(
    'heartbeat_age_seconds',
    'Time since the last heartbeat was sent that has succeeded; 0 before, and with the embedded broker.',
    [[{}, (group.heartbeatAgeMs ?? 0) / 1000]],
  )
  metric.gauge('lease_expired_seconds', 'For how long the lease on the partitions has run out; 0 while it is held.', [
    [{}, group.leaseExpiredMs / 1000],
  ])
  const reachable = brokers.filter(({ isReachable }) => isReachable).length
  metric.gauge('brokers', 'Brokers that the worker has to do with, by whether its last connection to each holds.', [
    [{ state: 'reachable' }, reachable],
    [{ state: 'unreachable' }, brokers.length - reachable],
  ])
}

/** Reads one number of everything of a kind; what has none is left out. */
function rowsOf<T>(
  label: string,
  things: Readonly<Record<string, T>>,
): (value: (thing: T) => number | undefined) => readonly MetricSample[] {
  return (value) =>
    Object.entries(things).flatMap(([name, thing]) => {
      const number = value(thing)
      return number === undefined ? [] : [[{ [label]: name }, number] as const]
    })
}

function seconds(date: string | undefined): number | undefined {
  return date === undefined ? undefined : Date.parse(date) / 1000
}
