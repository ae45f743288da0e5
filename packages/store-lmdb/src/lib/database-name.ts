import type { Facts } from './facts.ts'

/** The database with the rows of a table partition, by the partition's name. Each time it is left, another one takes over. */
export function databaseName(partition: string, facts: Facts): string {
  const left = timesLeft(partition, facts)
  return left === 0 ? partition : `${partition}~${left}`
}

/** From now on the partition has another database, an empty one. Belongs into a transaction. */
export function leaveDatabase(partition: string, facts: Facts): void {
  facts.put(factName(partition), String(timesLeft(partition, facts) + 1))
}

function timesLeft(partition: string, facts: Facts): number {
  return Number(facts.get(factName(partition)) ?? 0)
}

function factName(partition: string): string {
  return `left/${partition}`
}
