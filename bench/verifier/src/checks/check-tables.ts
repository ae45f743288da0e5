import { readTopic } from '../lib/read-topic.ts'
import type { Counted, Grouped, Tally } from '../lib/verifier-app.ts'
import { verifierTopics, type TopicPlace } from '../lib/verifier-topics.ts'
import type { CheckContext } from './check-outputs.ts'
import { Deliveries, type DeliveryFigures } from './deliveries.ts'
import { eachOf, timesIn } from './input-facts.ts'
import { KeyOrder } from './key-order.ts'

/** Last rows of the changelogs against the input, and the groups against what is in the repartition topic. */
export async function checkTables(
  context: CheckContext,
  regrouped: Deliveries<number>,
): Promise<Readonly<Record<string, DeliveryFigures>>> {
  const { run, input, exact, problems } = context
  const topics = verifierTopics(run.id)
  const numbers = new Map<string, Map<number, number>>()
  for (const { n, key, seq } of input.records) {
    const ofKey = numbers.get(key) ?? new Map<number, number>()
    numbers.set(key, ofKey.set(seq, n))
  }
  const counts = new Deliveries<number>('table counts')
  const order = new KeyOrder('table counts', exact, problems)
  for (const [key, row] of await rowsOf<Counted>(context, topics.countsLog)) {
    if (row.count !== row.seqs.length)
      problems.add('wrong row of counts', `${key}: count ${row.count} of ${row.seqs.length} events`)
    for (const seq of row.seqs) {
      counts.add(numbers.get(key)?.get(seq) ?? -1, key)
      order.add(key, seq, 'its row')
    }
  }

  const groups = new Deliveries<number>('table groups')
  for (const [group, row] of await rowsOf<Grouped>(context, topics.groupsLog)) {
    if (row.count !== row.numbers.length)
      problems.add('wrong row of groups', `${group}: count ${row.count} of ${row.numbers.length} events`)
    for (const n of row.numbers) {
      groups.add(n, group)
      if (input.records[n]?.group !== group) problems.add('wrong row of groups', `record ${n} in group ${group}`)
    }
  }
  await checkTallies(context)
  return {
    counts: counts.check(
      eachOf(input, (n) => timesIn(input, 'a', n)),
      context,
    ),
    groups: groups.check(
      eachOf(input, (n) => regrouped.times(n)),
      context,
    ),
  }
}

/** Counts and sums by key, as two numbers that must not be lower, nor higher where nothing may count again. */
async function checkTallies(context: CheckContext): Promise<void> {
  const { input } = context
  const rows = await rowsOf<Tally>(context, verifierTopics(context.run.id).talliesLog)
  const expected = new Map<string, Tally>()
  for (const { n, key, topic } of input.records) {
    if (topic !== 'b') continue
    const { count, sum } = expected.get(key) ?? { count: 0, sum: 0 }
    expected.set(key, { count: count + input.copies(n), sum: sum + n * input.copies(n) })
  }
  for (const of of ['count', 'sum'] as const) {
    const tallies = new Deliveries<string>(`table tallies, ${of}`)
    for (const [key, row] of rows) tallies.set(key, row[of])
    tallies.check(
      [...expected].map(([key, tally]) => [key, tally[of]] as const),
      context,
    )
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
