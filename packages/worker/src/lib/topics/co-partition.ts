import { MillraceError } from '@millrace/core'
import type { StateDefinition } from '../contracts/task.ts'
import type { SubscriptionSpec } from '../contracts/worker-context.ts'

export interface CoPartition {
  readonly subscriptions: readonly SubscriptionSpec[]
  /** Subscriptions whose events go out in one order. */
  readonly pairs: readonly (readonly [first: string, then: string])[]
  readonly reading: readonly (readonly [subscription: string, state: StateDefinition])[]
  /** Partition counts. */
  readonly topics: ReadonlyMap<string, number>
  readonly states: ReadonlyMap<StateDefinition, number>
}

interface Counted {
  readonly what: string
  readonly partitions: number
}

/**
 * Checks that joined sides meet in one task: partition p of one side with partition p of the other. Throws
 * `NOT_COPARTITIONED` if their partition counts differ.
 */
export function checkCoPartition({ subscriptions, pairs, reading, topics, states }: CoPartition): void {
  const topicsOf = (subscription: string): readonly Counted[] =>
    subscriptions
      .filter(({ id }) => id === subscription)
      .flatMap((spec) => spec.topics)
      .flatMap((topic) => {
        const partitions = topics.get(topic)
        return partitions === undefined ? [] : [{ what: `topic ${topic}`, partitions }]
      })
  const agentOf = (subscription: string): string =>
    subscriptions.find(({ id }) => id === subscription)?.agent ?? subscription
  for (const [first, then] of pairs) mustAgree([...topicsOf(first), ...topicsOf(then)], agentOf(then))
  for (const [{ name, besides = [] }, partitions] of states)
    for (const other of besides) {
      const theirs = states.get(other)
      if (theirs === undefined || theirs === partitions) continue
      throw new MillraceError(
        'NOT_COPARTITIONED',
        `Table ${name}, which has ${partitions} partitions, is kept up from table ${other.name}, which has ${theirs}.`,
      )
    }
  for (const [subscription, state] of reading) {
    const partitions = states.get(state)
    if (partitions === undefined) continue
    mustAgree([{ what: `table ${state.name}`, partitions }, ...topicsOf(subscription)], agentOf(subscription))
  }
}

function mustAgree(sides: readonly Counted[], agent: string): void {
  const [one] = sides
  const other = sides.find(({ partitions }) => partitions !== one?.partitions)
  if (one === undefined || other === undefined) return
  throw new MillraceError(
    'NOT_COPARTITIONED',
    `Agent ${agent} joins ${one.what}, which has ${one.partitions} partitions, with ${other.what}, which has ${other.partitions}.`,
  )
}
