import { partitionKey, partitionsOf } from '@millrace/core'
import type { MemoryLog } from '@millrace/transport-embedded'
import type { Gate } from './gates.ts'
import { endOf } from './invariants.ts'
import type { SimulatedProcess } from './simulated-process.ts'

/**
 * Whether all workers run, nothing is in flight, every source partition has an owner, and everything in it is
 * committed.
 */
export function isAtRest(
  processes: readonly SimulatedProcess[],
  { log, groupId }: { readonly log: MemoryLog; readonly groupId: string },
): boolean {
  if (!processes.every(({ state, worker }) => state === 'running' && worker?.quiet().idle === true)) return false
  const committed = new Map(log.committed(groupId).map((one) => [partitionKey(one), one.offset]))
  const sources = processes.flatMap(({ worker }) => worker?.assignment().tasks.flatMap((task) => task.sources) ?? [])
  const owned = new Set(sources.map(partitionKey))
  const read = new Set(sources.map(({ topic }) => topic))
  // A partition may belong to a static member that is gone, until its session is over.
  const partitions = log
    .topics()
    .filter(({ name }) => read.has(name))
    .flatMap(({ name, partitions }) => partitionsOf(name, partitions))
  return (
    partitions.length > 0 &&
    partitions.every((one) => {
      const key = partitionKey(one)
      return owned.has(key) && (committed.get(key) ?? 0) === endOf(log, one.topic, one.partition)
    })
  )
}

/** The reasons why a run has not settled, for messages. */
export function describeInHand(processes: readonly SimulatedProcess[], held: readonly Gate[]): string {
  const workers = processes.map(
    ({ name, state, worker }) => `${name} ${state} (${worker?.quiet().inFlight.join(', ') || 'nothing in flight'})`,
  )
  return [...workers, ...held.slice(0, 10).map(({ owner, what }) => `${owner.name} waits for ${what}`)].join('; ')
}
