import type { Clock, TopicPartition } from '@millrace/core'
import type { Consumer, GroupAssignor, Transport } from '@millrace/core/driver'
import type { SeededRandom } from './seeded-random.ts'

/** What no worker of this app would say of itself. */
const GARBAGE: readonly string[] = Object.freeze([
  'null',
  '',
  '[]',
  '"text"',
  '{}',
  '{"v":99,"groups":[]}',
  '{"version":1,"groups":null}',
  '{"version":1,"groups":[[4,null]]}',
  '\u0000\u0001\u0002',
])

export interface IntrudersDeps {
  readonly groupId: string
  readonly clock: Clock
  readonly random: SeededRandom
  readonly transport: () => Transport
  /** As the workers use it; the stranger may become the leader. */
  readonly assignor: () => GroupAssignor | undefined
  /** It was given something. */
  readonly onGiven: (partitions: readonly TopicPartition[], data: string) => void
}

/** Members of the group whose data is of another version, or of no sense: they must be given nothing, and harm nobody. */
export class Intruders {
  readonly #deps: IntrudersDeps
  readonly #consumers = new Set<Consumer>()

  constructor(deps: IntrudersDeps) {
    this.#deps = deps
  }

  /** One joins, and leaves a few seconds later. */
  join(topics: readonly string[]): boolean {
    const { groupId, clock, random, transport, assignor, onGiven } = this.#deps
    const data = random.pick(GARBAGE) ?? ''
    const ofWorkers = assignor()
    if (ofWorkers === undefined) return false
    const consumer = transport().consumer({
      groupId,
      topics,
      instanceId: undefined,
      assignor: ofWorkers,
      memberData: () => Buffer.from(data),
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      heartbeatIntervalMs: 3000,
      isolation: 'read-committed',
      maxPartitionBytes: 1000,
      listener: {
        onRevoke: async () => {},
        onAssign: async ({ kept, gained }) => {
          if (kept.length + gained.length > 0) onGiven([...kept, ...gained], data)
        },
        onLost: async () => {},
      },
    })
    this.#consumers.add(consumer)
    void consumer.start().catch(() => this.#consumers.delete(consumer))
    clock.schedule(random.between(100, 5000), () => void this.#leave(consumer))
    return true
  }

  /** All of them leave. */
  async end(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => this.#leave(consumer)))
  }

  async #leave(consumer: Consumer): Promise<void> {
    if (this.#consumers.delete(consumer)) await consumer.close()
  }
}
