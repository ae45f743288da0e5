import type { CommitOffset, OutgoingRecord, TopicPartition } from '@millrace/core'
import type { AssignmentChange } from '@millrace/core/driver'
import type { MemoryLog } from '@millrace/transport-embedded'
import { never } from './gates.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { MemberNames } from './member-names.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How likely a request ends badly now; 0 once the faults are over. */
export interface RequestFaults {
  readonly lostAnswers: number
  readonly commitErrors: number
}

/** What the parts of a simulated transport share. */
export interface SimulatedWire {
  readonly log: MemoryLog
  readonly random: SeededRandom
  readonly names: MemberNames
  readonly heartbeats: Heartbeats
  readonly faults: () => RequestFaults
  /** Waits as long as the simulation likes; without end once the process is dead. */
  readonly hold: (what: string) => Promise<void>
  /** Waits until the log lets this process write; at once for most writes. */
  readonly turn: () => Promise<void>
  readonly dead: () => boolean
  readonly monotonic: () => number
  readonly happened: (fault: string) => void
  /** When a partition that takes no records takes some again; `undefined` for one that does. */
  readonly healed: (partition: TopicPartition) => Promise<void> | undefined
  readonly note: (what: string) => void
  /** The worker is told of a rebalance, and has answered. */
  readonly revoking: (on: boolean) => void
  /** Told when the worker has agreed to send records now, outside of transactions. */
  readonly sending: () => void
  readonly stored: (records: readonly OutgoingRecord[]) => void
  /** Told of offsets when their commit is asked for; throws nothing, remembers what is wrong. */
  readonly committing: (offsets: readonly CommitOffset[]) => void
  /** Told of each assignment, and of the generation that the member was in before; -1 for none. */
  readonly assigned: (before: number, change: AssignmentChange) => void
  /** Told when the worker asks to shut out all others that use this transactional id. */
  readonly initialising: (transactionalId: string) => void
  /** Told when a producer of the worker turns out to be shut out itself. */
  readonly fenced: (transactionalId: string) => void
}

/** A request: some time on its way, some time until the answer is here. */
export async function request<T>(wire: SimulatedWire, what: string, call: () => Promise<T>): Promise<T> {
  await wire.hold(what)
  if (wire.dead()) return never()
  const answer = await call()
  await wire.hold(`${what} answer`)
  return answer
}

/** Holds each look for the next item, never an item that is there already: it might be out of date by then. */
export function heldItems<T>(wire: SimulatedWire, what: string, items: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => {
      const inner = items[Symbol.asyncIterator]()
      return {
        next: async () => {
          await wire.hold(what)
          return inner.next()
        },
        return: async () => {
          await inner.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}
