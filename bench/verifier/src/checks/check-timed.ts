import { readTopic } from '../lib/read-topic.ts'
import type { Timed, TimedKind } from '../lib/timed-app.ts'
import type { Mark } from '../lib/verifier-app.ts'
import { verifierTopics } from '../lib/verifier-topics.ts'
import { checkFinished } from './check-finished.ts'
import type { CheckContext } from './check-outputs.ts'
import { Deliveries, type DeliveryFigures } from './deliveries.ts'
import type { ExpectedTimed } from './timed-oracle.ts'

/** In the order in which they are reported. */
const NAMES: Readonly<Record<TimedKind, string>> = {
  window: 'windows',
  session: 'sessions',
  team: 'windows by group',
  pair: 'pairs',
  reminder: 'timers, event time',
  alarm: 'timers, clock',
}

/** What went off against what must: each once, with its records; at least once, again after a crash, never with less. */
export async function checkTimed(
  context: CheckContext,
  { kinds, times, late }: ExpectedTimed,
): Promise<Readonly<Record<string, DeliveryFigures>>> {
  const { transport, run, input, exact, problems } = context
  const topics = verifierTopics(run.id)
  for (const { n, topic } of input.records)
    if ((topic === 'c' || topic === 'd') && input.copies(n) > 1)
      problems.add('input that was sent twice', `record ${n} of ${topic}`)
  const all = new Map(Object.entries(NAMES).map(([kind, name]) => [kind, new Deliveries<string>(name)]))
  await readTopic(transport, topics.timed, ({ value, partition, offset }) => {
    const timed: Timed & Mark = JSON.parse(String(value))
    const { kind, id, numbers, at, early } = timed
    const where = `${partition}@${offset}`
    all.get(kind)?.add(id, where)
    checkFinished(context, kind, timed, where)
    const must = kinds[kind].get(id)
    if (must !== undefined && !areOf(numbers, must, exact))
      problems.add(`wrong ${NAMES[kind]}`, `${id}: ${numbers.join(' ')} instead of ${must.join(' ')} at ${where}`)
    if (kind === 'reminder' && times.get(id) !== at)
      problems.add(`wrong ${NAMES[kind]}`, `${id}: set for ${at} instead of ${times.get(id)} at ${where}`)
    if (early === true) problems.add(`early ${NAMES[kind]}`, `${id}: set for ${at} at ${where}`)
  })
  const missed = new Deliveries<number>('late events')
  await readTopic(transport, topics.late, ({ value, partition, offset }) => {
    const { n }: { readonly n: number } = JSON.parse(String(value))
    missed.add(n, `${partition}@${offset}`)
  })
  const figures = [...all].map(([kind, deliveries]) => {
    const ids = [...kinds[kind as TimedKind].keys()]
    return [
      deliveries.name,
      deliveries.check(
        ids.map((id) => [id, 1]),
        context,
      ),
    ] as const
  })
  const ofLate = missed.check(
    late.map((n) => [n, 1]),
    context,
  )
  return { ...Object.fromEntries(figures), [missed.name]: ofLate }
}

/** Whether the numbers are those that they must be; not `exact`: some of them may be there again. */
export function areOf(numbers: readonly number[], must: readonly number[], exact: boolean): boolean {
  const found = new Set(numbers)
  if (found.size !== must.length || (exact && numbers.length !== must.length)) return false
  return must.every((n) => found.has(n))
}
