import { readTopic } from '../lib/read-topic.ts'
import type { Counted, Grouped, Tally } from '../lib/verifier-app.ts'
import { verifierTopics, type TopicPlace } from '../lib/verifier-topics.ts'
import type { CheckContext } from './check-outputs.ts'
import { Deliveries, type DeliveryFigures } from './deliveries.ts'
import { KeyOrder } from './key-order.ts'

/** Last rows of the changelogs against the input, and the groups against what is in the repartition topic. */
export async function checkTables(
  context: CheckContext,
  regrouped: Deliveries,
): Promise<Readonly<Record<string, DeliveryFigures>>> {
  const { run, input, exact, problems } = context
  const topics = verifierTopics(run.id)
  const numbers = new Map<string, Map<number, number>>()
  for (const { n, key, seq } of input.records) {
    const ofKey = numbers.get(key) ?? new Map<number, number>()
    numbers.set(key, ofKey.set(seq, n))
  }
  const ofTopic =
    (topic: 'a' | 'b') =>
    (n: number): number =>
      input.records[n]?.topic === topic ? input.copies(n) : 0

  const counts = new Deliveries('table counts', run.records)
  const order = new KeyOrder('table counts', exact, problems)
  for (const [key, row] of await rowsOf<Counted>(context, topics.countsLog)) {
    if (row.count !== row.seqs.length)
      problems.add('wrong row of counts', `${key}: count ${row.count} of ${row.seqs.length} events`)
    for (const seq of row.seqs) {
      counts.add(numbers.get(key)?.get(seq) ?? -1, key)
      order.add(key, seq, 'its row')
    }
  }

  const groups = new Deliveries('table groups', run.records)
  for (const [group, row] of await rowsOf<Grouped>(context, topics.groupsLog)) {
    if (row.count !== row.numbers.length)
      problems.add('wrong row of groups', `${group}: count ${row.count} of ${row.numbers.length} events`)
    for (const n of row.numbers) {
      groups.add(n, group)
      if (input.records[n]?.group !== group) problems.add('wrong row of groups', `record ${n} in group ${group}`)
    }
  }
  await checkTallies(context)
  const rules = { records: run.records, exact }
  return {
    counts: counts.check({ ...rules, expected: ofTopic('a') }, problems),
    groups: groups.check({ ...rules, expected: (n) => regrouped.times(n) }, problems),
  }
}

async function checkTallies(context: CheckContext): Promise<void> {
  const { run, input, exact, problems } = context
  const rows = await rowsOf<Tally>(context, verifierTopics(run.id).talliesLog)
  const expected = new Map<string, { count: number; sum: number }>()
  for (const { n, key, topic } of input.records) {
    if (topic !== 'b') continue
    const tally = expected.get(key) ?? { count: 0, sum: 0 }
    expected.set(key, { count: tally.count + input.copies(n), sum: tally.sum + n * input.copies(n) })
  }
  for (const key of new Set([...expected.keys(), ...rows.keys()])) {
    const must = expected.get(key) ?? { count: 0, sum: 0 }
    const is = rows.get(key) ?? { count: 0, sum: 0 }
    if (is.count < must.count || is.sum < must.sum)
      problems.add('lost in table tallies', `${key}: ${text(is)} instead of ${text(must)}`)
    else if (exact && (is.count > must.count || is.sum > must.sum))
      problems.add('doubled in table tallies', `${key}: ${text(is)} instead of ${text(must)}`)
  }
}

/** The last value of each key: what a new worker would begin with. */
async function rowsOf<V>({ transport }: CheckContext, changelog: TopicPlace): Promise<ReadonlyMap<string, V>> {
  const rows = new Map<string, V>()
  await readTopic(transport, changelog, ({ key, value }) => {
    if (value === null) rows.delete(String(key))
    else rows.set(String(key), JSON.parse(String(value)))
  })
  return rows
}

function text({ count, sum }: Tally): string {
  return `${count} with sum ${sum}`
}
