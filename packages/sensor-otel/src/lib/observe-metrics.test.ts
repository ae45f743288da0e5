import { type App, createApp } from '@millrace/app'
import { createMemoryLog, createMemoryTransport } from '@millrace/transport-embedded'
import { type MetricData, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { observeMetrics } from './observe-metrics.ts'

/** Collects on demand. */
class ReaderForTests extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}

  async read(): Promise<ReadonlyMap<string, MetricData>> {
    const { resourceMetrics, errors } = await this.collect()
    expect(errors).toEqual([])
    return new Map(
      resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).map((data) => [data.descriptor.name, data]),
    )
  }
}

/** One series a line, as in Prometheus. */
function linesOf(metrics: ReadonlyMap<string, MetricData>): readonly string[] {
  return [...metrics].flatMap(([name, { dataPoints }]) =>
    dataPoints.map(({ attributes, value }) => {
      if (typeof value !== 'number') throw new TypeError(`${name} is no number.`)
      const labels = Object.entries(attributes).map(([label, text]) => `${label}=${JSON.stringify(text)}`)
      return `${name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${value}`
    }),
  )
}

async function committed(app: App, offset: number): Promise<void> {
  const limitMs = performance.now() + 10_000
  while (app.stats()?.sources.some(({ committed }) => committed === offset) !== true) {
    if (performance.now() > limitMs) throw new Error(`The event before offset ${offset} was not committed.`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('exports the worker’s metrics as instruments, with the names and numbers of /metrics', async () => {
  const log = createMemoryLog()
  const app = createApp({
    id: 'measured',
    broker: (deps) => createMemoryTransport(log, deps),
    store: 'memory:',
    topicPartitions: 2,
    web: { enabled: false },
  })
  const words = app.topic('words', { key: 'string', value: 'string' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0 })
  app.agent('count', words, async (stream) => {
    for await (const word of stream) counts.update(word, (n) => n + 1)
  })
  app.timer('1h', async function tick() {})
  const reader = new ReaderForTests()
  const meter = new MeterProvider({ readers: [reader] }).getMeter('test')
  const stop = observeMetrics(app, meter)
  expect(await reader.read()).toEqual(new Map())

  await app.start()
  try {
    await words.send({ key: 'a', value: 'a' })
    await app.scheduler.trigger('tick')
    await committed(app, 1)
    const observed = linesOf(await reader.read())
    const shown = await (await app.web.fetch(new Request('http://here/metrics'), '127.0.0.1')).text()
    const names = /^millrace_(?!http_)/
    const lines = shown.split('\n').filter((line) => names.test(line))
    // Time passes between the two readings; all other numbers are equal.
    const still = (all: readonly string[]): readonly string[] =>
      all.filter((line) => !/^millrace_(job_next|commit|records_sent)/.test(line)).toSorted()
    expect(still(observed)).toEqual(still(lines))
    expect(observed).toEqual(
      expect.arrayContaining([
        'millrace_agent_events_processed_total{agent="count"} 1',
        'millrace_agent_event_duration_seconds_count{agent="count"} 1',
        'millrace_agent_event_duration_seconds_bucket{agent="count",le="+Inf"} 1',
        'millrace_table_writes_total{table="counts"} 1',
      ]),
    )
    stop()
    await words.send({ key: 'a', value: 'a' })
    await committed(app, 2)
    // The SDK keeps reporting its last reading.
    expect(linesOf(await reader.read())).toContain('millrace_agent_events_processed_total{agent="count"} 1')
  } finally {
    await app.stop()
  }
})
