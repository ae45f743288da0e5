import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { RequestFigures, RouteOutcome } from './http-figures.ts'
import type { StatsAnswer } from '../built-in/stats.ts'
import type { SourceFigures, WorkerFigures } from '../site/site-deps.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const STATUSES = ['starting', 'recovering', 'running', 'stopping', 'stopped', 'failed'] as const

/** What is shown of a worker. */
export interface MetricsSource {
  readonly stats: StatsAnswer
  readonly sources: readonly SourceFigures[]
  readonly outbox: WorkerFigures['outbox']
  readonly ready: boolean
}

/** The figures of a site and its workers as Prometheus reads them. Every site has a registry of its own. */
export class Prometheus {
  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #active: Gauge
  readonly #seconds: Histogram<'method' | 'page' | 'status'>
  readonly #routed: Counter<'outcome'>
  #process: Registry | undefined

  constructor() {
    const registers = [this.#registry]
    this.#active = new Gauge({ name: 'millrace_http_requests_active', help: 'Requests being answered.', registers })
    this.#seconds = new Histogram({
      name: 'millrace_http_request_duration_seconds',
      help: 'Time to the head of the answer.',
      labelNames: ['method', 'page', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.#routed = new Counter({
      name: 'millrace_http_routed_total',
      help: 'Requests for keys of other workers: forwarded, retried after a move, refused with 503.',
      labelNames: ['outcome'],
      registers,
    })
  }

  requestStarted(): void {
    this.#active.inc()
  }

  requestAnswered({ method, page, status, durationMs }: RequestFigures): void {
    this.#active.dec()
    // Labels from a closed set: a client must not be able to make series.
    this.#seconds.observe(
      { method: METHODS.has(method) ? method : 'other', page: page ?? 'none', status },
      durationMs / 1000,
    )
  }

  routed(outcome: RouteOutcome): void {
    this.#routed.inc({ outcome })
  }

  /** The text that Prometheus reads; without `source`, of a process that runs no worker, the site's own figures. */
  async text(source: MetricsSource | undefined): Promise<string> {
    const process = (this.#process ??= processRegistry())
    const figures = source === undefined ? [] : [workerRegistry(source)]
    const texts = await Promise.all([...figures, this.#registry, process].map((registry) => registry.metrics()))
    return texts.map((text) => text.trimEnd()).join('\n') + '\n'
  }
}

/** Memory, processor, event loop and garbage collection of the process, under prom-client's own names. */
function processRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}

/** Made anew for each reading: the figures are counted elsewhere, and this way two readings at once cannot mix. */
function workerRegistry({ stats, sources, outbox, ready }: MetricsSource): Registry {
  const registry = new Registry()
  const metric = metricsOf(registry)
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
    'agent_events_active',
    'Events in hand.',
    agents((agent) => agent.active),
  )
  metric.gauge(
    'agent_lag',
    'Records behind the end of the partitions here.',
    agents((agent) => agent.lag),
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
  metric.counter(
    'table_late_events_total',
    'Late events dropped.',
    tables((table) => table.late),
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

  const partitions = (value: (source: SourceFigures) => number | undefined): readonly Sample[] =>
    sources.flatMap((source) => {
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

  metric.counter('commits_total', 'Commits.', [[{}, stats.commits.count]])
  metric.gauge('commit_last_duration_seconds', 'How long the last commit took.', [[{}, stats.commits.lastMs / 1000]])
  metric.counter('rebalances_total', 'Rebalances of the group.', [[{}, stats.rebalances]])
  metric.counter('records_sent_total', 'Records acknowledged by the broker, changelog rows included.', [
    [{}, stats.sent],
  ])
  metric.counter('errors_total', 'Errors of user code and of the worker.', [[{}, stats.errors]])
  metric.gauge('outbox_bytes', 'Bytes sent and not yet acknowledged.', [[{}, outbox.bytes]])
  return registry
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

interface Metrics {
  gauge(name: string, help: string, samples: readonly Sample[]): void
  counter(name: string, help: string, samples: readonly Sample[]): void
}

function metricsOf(registry: Registry): Metrics {
  const shape = (
    name: string,
    help: string,
    samples: readonly Sample[],
  ): { name: string; help: string; labelNames: string[]; registers: Registry[] } => ({
    name: `millrace_${name}`,
    help,
    labelNames: Object.keys(samples[0]?.[0] ?? {}),
    registers: [registry],
  })
  return {
    gauge(name, help, samples) {
      const gauge = new Gauge(shape(name, help, samples))
      for (const [labels, value] of samples) gauge.set(labels, value)
    },
    counter(name, help, samples) {
      const counter = new Counter(shape(name, help, samples))
      for (const [labels, value] of samples) counter.inc(labels, value)
    },
  }
}

/** Reads one figure of everything of a kind; what has none is left out. */
function rowsOf<T>(
  label: string,
  things: Readonly<Record<string, T>>,
): (value: (thing: T) => number | undefined) => readonly Sample[] {
  return (value) =>
    Object.entries(things).flatMap(([name, thing]) => {
      const number = value(thing)
      return number === undefined ? [] : [[{ [label]: name }, number] as const]
    })
}

function seconds(date: string | undefined): number | undefined {
  return date === undefined ? undefined : Date.parse(date) / 1000
}
