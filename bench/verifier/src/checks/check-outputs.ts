import type { Transport } from '@millrace/core/driver'
import { headersOf } from '../lib/input-records.ts'
import { readTopic, type LoggedRecord } from '../lib/read-topic.ts'
import type { VerifierRun } from '../lib/verifier-run.ts'
import { verifierTopics, type TopicPlace } from '../lib/verifier-topics.ts'
import type { Mark } from '../lib/verifier-app.ts'
import { checkFinished } from './check-finished.ts'
import { Deliveries, type DeliveryFigures } from './deliveries.ts'
import { eachOf, timesIn, type InputFacts } from './input-facts.ts'
import { KeyOrder } from './key-order.ts'
import type { Problems } from './problems.ts'
import { sameHeaders } from './same-headers.ts'

export interface OutputFigures {
  readonly deliveries: Readonly<Record<string, DeliveryFigures>>
  /** How often record `n` is in the repartition topic: what the groups are counted from. */
  readonly regrouped: Deliveries<number>
}

type Output = Mark & { readonly n: number; readonly seq: number; readonly count?: number; readonly twice?: number }

export interface CheckContext {
  readonly transport: Transport
  readonly run: VerifierRun
  readonly input: InputFacts
  /** Doubles are problems: exactly once, or nothing was done that may double. */
  readonly exact: boolean
  readonly problems: Problems
}

/** Every output topic against the input: lost, doubled, order per key, and what has to be kept. */
export async function checkOutputs(context: CheckContext): Promise<OutputFigures> {
  const { transport, run, input, exact, problems } = context
  const topics = verifierTopics(run.id)
  const figures: Record<string, DeliveryFigures> = {}
  const start = (name: string): Deliveries<number> => new Deliveries(name)
  const end = (deliveries: Deliveries<number>, expected: (n: number) => number): void => {
    figures[deliveries.name] = deliveries.check(eachOf(input, expected), context)
  }
  const ofTopic =
    (topic: 'a' | 'b') =>
    (n: number): number =>
      timesIn(input, topic, n)
  const order = (name: string): KeyOrder => new KeyOrder(name, exact, problems)
  const read = (
    place: TopicPlace,
    show: (record: LoggedRecord, output: Output, where: string) => void,
  ): Promise<void> =>
    readTopic(transport, place, (record) =>
      show(record, JSON.parse(String(record.value)), `${record.partition}@${record.offset}`),
    )
  const mustHaveFinished = (agent: string, output: Output, where: string): void =>
    checkFinished(context, agent, { ...output, id: output.n }, where)
  const mustBeKept = (name: string, record: LoggedRecord, n: number, key: string | undefined): void => {
    const planned = input.records[n]
    if (planned === undefined) return
    if (
      String(record.key) !== key ||
      record.timestamp !== run.startMs + n ||
      !sameHeaders(record.headers, headersOf(n))
    )
      problems.add(
        `key, headers or timestamp not kept in ${name}`,
        `record ${n} at ${record.partition}@${record.offset}`,
      )
  }

  const out = start('out')
  const outOrder = order('out')
  await read(topics.out, (record, output, where) => {
    const { n, seq, twice } = output
    out.add(n, where)
    mustHaveFinished('transform', output, where)
    mustBeKept('out', record, n, input.records[n]?.key)
    outOrder.add(String(record.key), seq, where)
    if (twice !== 2 * n) problems.add('wrong value in out', `record ${n}: ${twice}`)
  })
  end(out, ofTopic('a'))

  for (const [i, route] of topics.routes.entries()) {
    const routed = start(`route ${i}`)
    await read(route, ({ partition }, output, where) => {
      routed.add(output.n, where)
      mustHaveFinished('transform', output, where)
      if (partition !== output.n % route.partitions)
        problems.add('wrong partition', `record ${output.n} in ${route.name}/${partition}`)
    })
    end(routed, (n) => (n % topics.routes.length === i ? ofTopic('a')(n) : 0))
  }

  const counted = start('counted')
  const groupCounted = start('counted by group')
  const countedOrder = order('counted')
  await read(topics.counted, ({ key }, output, where) => {
    const { n, seq, count } = output
    const isOfGroup = count === undefined
    mustHaveFinished(isOfGroup ? 'group' : 'count', output, where)
    ;(isOfGroup ? groupCounted : counted).add(n, where)
    countedOrder.add(String(key), seq, where)
    if (!isOfGroup && (exact ? count !== seq + 1 : count < seq + 1))
      problems.add(
        'wrong count in counted',
        `record ${n}, ${seq} of ${String(key)}: ${count} by ${output.by} at ${where}`,
      )
  })
  end(counted, ofTopic('a'))

  const regrouped = start('repartition')
  await read(topics.repartition, (record, { n }, where) => {
    regrouped.add(n, where)
    mustBeKept('repartition', record, n, input.records[n]?.group)
  })
  end(regrouped, ofTopic('b'))

  const grouped = start('grouped')
  const groupedOrder = order('grouped')
  await read(topics.grouped, (record, output, where) => {
    grouped.add(output.n, where)
    mustBeKept('grouped', record, output.n, input.records[output.n]?.group)
    groupedOrder.add(input.records[output.n]?.key ?? '', output.seq, where)
  })
  end(grouped, (n) => regrouped.times(n))
  end(groupCounted, (n) => regrouped.times(n))
  return { deliveries: figures, regrouped }
}
