import { createApp } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { markdownTable } from './markdown-table.ts'

/** `docs/reference/metrics.md`: what `/metrics` of a small app shows, without its numbers. */
export async function metricsPage(): Promise<string> {
  const text = await metricsOf()
  const rows = [
    ...text.matchAll(
      /^# HELP (?<name>millrace_\S+) (?<help>.*)\n# TYPE \S+ (?<type>\S+)\n(?<samples>(?:(?!#).*\n)*)/gm,
    ),
  ]
    .map(({ groups = {} }) => {
      const { name = '', help = '', type = '', samples = '' } = groups
      const labels = new Set([...samples.matchAll(/[{,](\w+)="/g)].flatMap(([, label]) => label ?? []))
      labels.delete('le')
      return [`\`${name}\``, type, [...labels].map((label) => `\`${label}\``).join(' '), help]
    })
    .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
  return `# Metrics

Generated from what \`/metrics\` of a small app shows; run \`node --import tsx scripts/generate-docs.ts\` after a change. Beside these there are \`process_…\` and \`nodejs_…\`, those of prom-client for the process.

${markdownTable(['Name', 'Kind', 'Labels', 'What it is'], rows)}
Not every event is timed: all while they are few, one in up to 4,096 while they are many. Each sample counts for the events since the one before, so \`rate(…_count)\` is about the events a second, and \`histogram_quantile\` works as ever. Latency is by the wall clock of the worker and the timestamp that the producer set; where clocks differ, so does it.
`
}

async function metricsOf(): Promise<string> {
  const app = createApp({ id: 'metrics' })
  const topic = app.topic('in', { key: 'string', value: 'string' })
  const rows = app.table('rows', { key: 'string', value: 'string' })
  app.agent('keep', topic, async (stream) => {
    for await (const [key, value] of stream.items()) rows.set(key, value)
  })
  app.page(
    '/row/:key/',
    app.tableRoute(rows, { param: 'key' }, (c, key) => c.json(rows.get(key))),
  )
  app.timer('1s', async function tick() {})
  await using t = await testApp(app)
  await t.send(topic, { key: 'a', value: 'b' })
  await t.clock.advance('2s')
  await t.fetch('/row/a/')
  return (await t.fetch('/metrics')).text()
}
