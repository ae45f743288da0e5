import type { TimeStats } from '../lib/time/time-histogram.ts'

/** Takes the metrics of a worker, each with all its series; names are without `millrace_`. */
export interface MetricsWriter {
  gauge(name: string, help: string, samples: readonly MetricSample[]): void
  counter(name: string, help: string, samples: readonly MetricSample[]): void
  histogram(name: string, help: string, series: readonly CountedSeries[]): void
}

export type MetricLabels = Readonly<Record<string, string>>

/** One series of a metric: its labels and the number. */
export type MetricSample = readonly [labels: MetricLabels, value: number]

/** The same of a histogram. */
export type CountedSeries = readonly [labels: MetricLabels, times: TimeStats]
