import {
  TIME_BOUNDS_MS,
  type CountedSeries,
  type MetricLabels,
  type MetricsWriter,
  type TimeStats,
} from '@millrace/core'
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { writeWorkerMetrics, type MetricsSource } from './worker-metrics.ts'

/** An answered request. */
export interface RequestStats {
  readonly method: string
  /** Path of the page as defined; `undefined` if no page matched. */
  readonly page: string | undefined
  readonly status: number
  readonly durationMs: number
}

/** Outcome of a request for a key of another worker. */
export type RouteOutcome = 'forwarded' | 'retried' | 'refused'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The metrics of a site and its workers in Prometheus format. Every site has its own registry. */
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
      help: 'Time until the response headers.',
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

  requestAnswered({ method, page, status, durationMs }: RequestStats): void {
    this.#active.dec()
    // Labels come from a closed set, so that a client cannot create series.
    this.#seconds.observe(
      { method: METHODS.has(method) ? method : 'other', page: page ?? 'none', status },
      durationMs / 1000,
    )
  }

  routed(outcome: RouteOutcome): void {
    this.#routed.inc({ outcome })
  }

  /**
   * The text that Prometheus reads; without `source`, only the site's own metrics, for a process that runs no worker.
   */
  async text(source: MetricsSource | undefined): Promise<string> {
    const texts = await Promise.all(this.#registries(source).map((registry) => registry.metrics()))
    return texts.map((text) => text.trimEnd()).join('\n') + '\n'
  }

  /** The same as data, for `mergedText`: each series has the number of this process as the label `process`. */
  async data(source: MetricsSource | undefined, process = 0): Promise<MetricsData> {
    const metrics = await Promise.all(this.#registries(source).map((registry) => registry.getMetricsAsJSON()))
    return metrics.flat().map((metric) => ({
      ...metric,
      values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, process } })),
    }))
  }

  #registries(source: MetricsSource | undefined): readonly Registry[] {
    const process = (this.#process ??= processRegistry())
    return [...(source === undefined ? [] : [workerRegistry(source)]), this.#registry, process]
  }
}

/** The metrics of one process as data. */
export type MetricsData = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** The text that Prometheus reads, of the metrics of several processes. */
export async function mergedText(processes: readonly MetricsData[]): Promise<string> {
  // No two processes have a series in common, so there is nothing to add up and nothing that could be left out.
  const summed = processes.map((metrics) => metrics.map((metric) => ({ ...metric, aggregator: 'sum' })))
  return AggregatorRegistry.aggregate(summed).metrics()
}

/** Memory, processor, event loop and garbage collection of the process, under prom-client's own names. */
function processRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}

/** Created for each reading: the numbers are counted elsewhere, and two concurrent readings cannot mix. */
function workerRegistry(source: MetricsSource): Registry {
  const registry = new Registry()
  writeWorkerMetrics(writerOf(registry), source)
  return registry
}

function writerOf(registry: Registry): MetricsWriter {
  const shape = (name: string, help: string, series: readonly (readonly [MetricLabels, unknown])[]): MetricShape => ({
    name: `millrace_${name}`,
    help,
    labelNames: Object.keys(series[0]?.[0] ?? {}),
    registers: [registry],
  })
  return {
    gauge(name, help, samples) {
      const gauge = new Gauge(shape(name, help, samples))
      // Otherwise prom-client would show a metric with the value 0.
      if (samples.length === 0) gauge.remove()
      for (const [labels, value] of samples) gauge.set(labels, value)
    },
    counter(name, help, samples) {
      const counter = new Counter(shape(name, help, samples))
      if (samples.length === 0) counter.remove()
      for (const [labels, value] of samples) counter.inc(labels, value)
    },
    histogram(name, help, series) {
      void new CountedHistogram(shape(name, help, series), series)
    },
  }
}

/** What prom-client builds a metric from. */
interface MetricShape {
  name: string
  help: string
  labelNames: string[]
  registers: Registry[]
}

const BOUNDS_S: readonly number[] = TIME_BOUNDS_MS.map((ms) => ms / 1000)

interface HistogramValue {
  readonly metricName: string
  /** Merged into the labels by `get`, which needs them even if there are none. */
  readonly sharedLabels: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/**
 * A prom-client histogram whose observations were counted elsewhere: the event path has no time for labels.
 */
class CountedHistogram extends Histogram {
  readonly #name: string
  readonly #help: string
  readonly #series: readonly CountedSeries[]

  constructor(configuration: MetricShape, series: readonly CountedSeries[]) {
    super({ ...configuration, buckets: [...BOUNDS_S] })
    this.#name = configuration.name
    this.#help = configuration.help
    this.#series = series
  }

  /** What a registry prints and `get` is built from; prom-client's types leave it out. */
  async getForPromString(): Promise<{ name: string; help: string; type: string; values: readonly HistogramValue[] }> {
    const values = this.#series.flatMap(([labels, times]) => valuesOf(this.#name, labels, times))
    return { name: this.#name, help: this.#help, type: 'histogram', values }
  }
}

function valuesOf(
  name: string,
  labels: Readonly<Record<string, string>>,
  { counts, count, sumMs }: TimeStats,
): readonly HistogramValue[] {
  let upTo = 0
  const buckets = [...BOUNDS_S, '+Inf'].map((le, at) => {
    upTo += counts[at] ?? 0
    return { metricName: `${name}_bucket`, sharedLabels: {}, labels: { ...labels, le }, value: upTo }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, sharedLabels: {}, labels, value: sumMs / 1000 },
    { metricName: `${name}_count`, sharedLabels: {}, labels, value: count },
  ]
}
