import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { markdownTable } from './markdown-table.ts'

/** A metric of `/metrics`. */
export interface ShownMetric {
  readonly name: string
  /** As Prometheus says it: counter, gauge, histogram, summary. */
  readonly kind: string
  /** Without `le` and `quantile`, which are those of its kind. */
  readonly labels: readonly string[]
  readonly help: string
}

/** What `/metrics` of a small app shows, without its numbers; sorted by name. */
export async function shownMetrics(): Promise<readonly ShownMetric[]> {
  const text = await metricsOf()
  return [...text.matchAll(/^# HELP (?<name>\S+) (?<help>.*)\n# TYPE \S+ (?<kind>\S+)\n(?<samples>(?:(?!#).*\n)*)/gm)]
    .map(({ groups = {} }) => {
      const { name = '', help = '', kind = '', samples = '' } = groups
      const labels = new Set([...samples.matchAll(/[{,](\w+)="/g)].flatMap(([, label]) => label ?? []))
      labels.delete('le')
      labels.delete('quantile')
      return { name, kind, labels: [...labels], help }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** `docs/reference/metrics.md`: those of Millrace. */
export async function metricsPage(): Promise<string> {
  const rows = (await shownMetrics())
    .filter(({ name }) => name.startsWith('millrace_'))
    .map(({ name, kind, labels, help }) => [`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(' '), help])
  return `# Metrics

Generated from what \`/metrics\` of a small app shows; run \`node --import tsx scripts/generate-docs.ts\` after a change. Beside these there are \`process_…\` and \`nodejs_…\`, those of prom-client for the process.

${markdownTable(['Name', 'Kind', 'Labels', 'What it is'], rows)}
Not every event is timed: all while they are few, one in up to 4,096 while they are many. Each sample counts for the events since the one before, so \`rate(…_count)\` is about the events a second, and \`histogram_quantile\` works as ever. Latency is by the wall clock of the worker and the timestamp that the producer set; where clocks differ, so does it.

Prometheus adds \`job\` and \`instance\` to all of them, so the label \`job\` of the metrics of jobs becomes \`exported_job\` there, unless the scrape has \`honor_labels\`. [Alerts](../guide/alerts) are made of these.
`
}

async function metricsOf(): Promise<string> {
  const app = createApp({ id: 'metrics' })
  const topic = app.topic('in', { key: 'string', value: 'string' })
  const rows = app.table('rows', { key: 'string', value: 'string' })
  const counts = app.table('counts', { key: 'string', value: 'number', default: () => 0, ttl: '1h' })
  const minutes = counts.tumbling('1m')
  const reminders = app.keyTimers('reminders', { key: 'string', value: 'string', clock: 'wall' })
  app.agent('keep', topic, async (stream) => {
    for await (const [key, value] of stream.items()) {
      rows.set(key, value)
      counts.update(key, (n) => n + 1)
      minutes.update(key, (n) => n + 1)
      reminders.set(key, 'again', Date.now() + 3_600_000, value)
    }
  })
  app.agent('remind', reminders, async (fired) => {
    for await (const _ of fired) continue
  })
  app.agent(
    'charge',
    topic,
    async (stream) => {
      for await (const value of stream) throw new Error(`No answer to ${value}.`)
    },
    { retry: { delays: ['1h'] } },
  )
  app.page(
    '/row/:key/',
    app.tableRoute(rows, { param: 'key' }, (c, key) => c.json(rows.get(key))),
  )
  app.timer('1s', async function tick() {})
  await using t = await testApp(app)
  await t.send(topic, { key: 'a', value: 'b' })
  await t.clock.advance('2s')
  await t.fetch('/row/a/')
  // Dead letters are counted after the first reading.
  await t.fetch('/metrics')
  await t.settle()
  return (await t.fetch('/metrics')).text()
}
