import { type BatchObservableResult, type Meter, metrics, type Observable } from '@opentelemetry/api'
import { type CountedSeries, type MetricSample, type MetricsWriter, TIME_BOUNDS_MS } from '@millrace/core'

/** The part of an app that is needed: `App` of `@millrace/app` fits. */
export interface MeasuredApp {
  /** Writes nothing if no worker runs. */
  writeMetrics(writer: MetricsWriter): void
  on(event: 'started', fn: () => void): () => void
}

/**
 * The metrics of the app's worker as observable instruments with the names of `/metrics`, so that the same alerts and
 * dashboard work. Each collection by the meter's reader reads all of them from one snapshot. The API does not accept
 * histograms that the worker has already counted, so each comes as the `_bucket`, `_sum` and `_count` that Prometheus
 * derives. The returned function stops the observation.
 *
 * @param meter default: the meter registered with the API when the worker has started
 * @example
 * observeMetrics(app)
 */
export function observeMetrics(app: MeasuredApp, meter?: Meter): () => void {
  let stop: (() => void) | undefined
  const begin = (): void => {
    if (stop !== undefined) return
    const used = meter ?? metrics.getMeter('@millrace/sensor-otel')
    const instruments = new Instruments(used)
    app.writeMetrics(instruments)
    const { all } = instruments
    if (all.length === 0) return
    const observe = (result: BatchObservableResult): void => app.writeMetrics(instruments.into(result))
    used.addBatchObservableCallback(observe, all)
    stop = () => used.removeBatchObservableCallback(observe, all)
  }
  begin()
  const unwatch = app.on('started', begin)
  return () => {
    unwatch()
    stop?.()
  }
}

type Kind = 'createObservableGauge' | 'createObservableCounter' | 'createObservableUpDownCounter'

/** Upper bounds in seconds, as in `/metrics`. */
const BOUNDS: readonly string[] = [...TIME_BOUNDS_MS.map((ms) => String(ms / 1000)), '+Inf']

/** An instrument for each written metric, created when it is first written. */
class Instruments implements MetricsWriter {
  readonly #meter: Meter
  readonly #byName: Map<string, Observable>
  readonly #result: BatchObservableResult | undefined

  constructor(meter: Meter, byName = new Map<string, Observable>(), result?: BatchObservableResult) {
    this.#meter = meter
    this.#byName = byName
    this.#result = result
  }

  get all(): Observable[] {
    return [...this.#byName.values()]
  }

  /** The same instruments, receiving the written numbers. */
  into(result: BatchObservableResult): Instruments {
    return new Instruments(this.#meter, this.#byName, result)
  }

  gauge(name: string, help: string, samples: readonly MetricSample[]): void {
    this.#write('createObservableGauge', name, { help, samples })
  }

  counter(name: string, help: string, samples: readonly MetricSample[]): void {
    this.#write('createObservableCounter', name, { help, samples })
  }

  histogram(name: string, help: string, series: readonly CountedSeries[]): void {
    const kind = 'createObservableUpDownCounter'
    const of = (value: (times: CountedSeries[1]) => number): readonly MetricSample[] =>
      series.map(([labels, times]) => [labels, value(times)])
    this.#write(kind, `${name}_bucket`, { help, samples: series.flatMap(bucketsOf) })
    this.#write(kind, `${name}_sum`, { help, samples: of(({ sumMs }) => sumMs / 1000) })
    this.#write(kind, `${name}_count`, { help, samples: of(({ count }) => count) })
  }

  #write(
    kind: Kind,
    name: string,
    { help, samples }: { readonly help: string; readonly samples: readonly MetricSample[] },
  ): void {
    let instrument = this.#byName.get(name)
    if (instrument === undefined) {
      instrument = this.#meter[kind](`millrace_${name}`, { description: help })
      this.#byName.set(name, instrument)
    }
    for (const [labels, value] of samples) this.#result?.observe(instrument, value, labels)
  }
}

/** Each bucket includes the counts of those below it. */
function bucketsOf([labels, { counts }]: CountedSeries): readonly MetricSample[] {
  let upTo = 0
  return BOUNDS.map((le, at) => {
    upTo += counts[at] ?? 0
    return [{ ...labels, le }, upTo]
  })
}
