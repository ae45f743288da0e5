import { deferred } from '@millrace/core'
import type { AssignmentChange, ConsumerOptions, GroupAssignor } from '@millrace/core/driver'
import { afterEach, expect, test } from 'vitest'
import { DisturbedBackend, Machine, member } from './sessions.fixture.ts'

let machine: Machine | undefined
afterEach(() => machine?.close())

/** A machine with a topic of three partitions. */
async function start(): Promise<Machine> {
  const made = (machine = await Machine.start())
  await made
    .process('admin')
    .admin()
    .createTopics([{ name: 'u', partitions: 3, replicationFactor: -1, config: {} }])
  return made
}

const partitions = (...numbers: readonly number[]) => numbers.map((partition) => ({ topic: 'u', partition }))

/** Gives each member the partitions that `plan` has for what it says of itself. */
function planned(plan: ReadonlyMap<string, readonly number[]>, name = 'planned'): GroupAssignor {
  return {
    name,
    assign: ({ members }) => ({
      assignments: new Map(
        members.map(({ id, data }) => [id, partitions(...(plan.get(Buffer.from(data).toString()) ?? []))]),
      ),
      groupData: Buffer.from('all'),
      ownData: new Map(members.map(({ id, data }) => [id, Buffer.from(`for ${Buffer.from(data).toString()}`)])),
    }),
  }
}

interface Told {
  readonly options: ConsumerOptions
  readonly changes: AssignmentChange[]
  /** The partitions of the last change. */
  last(): Pick<AssignmentChange, 'lost' | 'kept' | 'gained'> | undefined
}

/** A member of that name, which keeps what it is told. */
function telling(
  name: string,
  plan: ReadonlyMap<string, readonly number[]>,
  options: Partial<ConsumerOptions> = {},
): Told {
  const changes: AssignmentChange[] = []
  return {
    changes,
    options: member([], {
      topics: ['u'],
      assignor: planned(plan),
      memberData: () => Buffer.from(name),
      listener: {
        onRevoke: async () => {},
        onAssign: async (change) => void changes.push(change),
        onLost: async () => {},
      },
      ...options,
    }),
    last: () => {
      const change = changes.at(-1)
      return change && { lost: change.lost, kept: change.kept, gained: change.gained }
    },
  }
}

test('an assignment says which partitions are lost, kept and gained, and has the data of the group and of the member', async () => {
  const machine = await start()
  const plan = new Map([['a', [0, 1]]])
  const { options, changes, last } = telling('a', plan)
  const consumer = machine.process('a').consumer(options)
  await consumer.start()
  expect(changes.map(({ memberId, generation }) => [memberId, generation])).toEqual([[machine.idOf('a'), 1]])
  expect([changes[0]?.groupData, changes[0]?.ownData].map((data) => Buffer.from(data ?? []).toString())).toEqual([
    'all',
    'for a',
  ])
  expect(last()).toEqual({ lost: [], kept: [], gained: partitions(0, 1) })
  plan.set('a', [1, 2])
  consumer.rejoin()
  await machine.clock.advance(0)
  expect(last()).toEqual({ lost: partitions(0), kept: partitions(1), gained: partitions(2) })
})

test('a member that has missed a generation has lost all, even what it gets again', async () => {
  const machine = await start()
  const { options, last } = telling('a', new Map([['a', [0, 1]]]))
  const consumer = machine.process('a').consumer(options)
  await consumer.start()
  await machine.log.backend.write('quiet', (log) => {
    const group = log.group('group')
    log.putGroup('group', { ...group, generation: group.generation + 1 })
  })
  consumer.rejoin()
  await machine.clock.advance(0)
  expect(last()).toEqual({ lost: partitions(0, 1), kept: [], gained: partitions(0, 1) })
})

test('a member that was removed has nothing to lose any more, and only reads what it then gets', async () => {
  const machine = await start()
  const plan = new Map([['a', [0, 1]]])
  const { options, last } = telling('a', plan)
  const process = machine.process('a')
  const consumer = process.consumer(options)
  await consumer.start()
  plan.set('a', [1])
  await machine.throwOut('a')
  await machine.clock.advance(0)
  expect(last()).toEqual({ lost: [], kept: [], gained: partitions(1) })
  const producer = process.producer()
  await producer.send(
    partitions(0, 1).map((place) => ({ ...place, key: null, value: Buffer.from('v'), headers: [], timestamp: 1 })),
    { guard: () => {} },
  )
  consumer.seek({ topic: 'u', partition: 1 }, 0)
  const { value } = await consumer.batches()[Symbol.asyncIterator]().next()
  expect(value).toMatchObject({ topic: 'u', partition: 1, position: 0 })
  // A further rebalance takes nothing from it either.
  consumer.rejoin()
  await machine.clock.advance(0)
  expect(last()).toEqual({ lost: [], kept: partitions(1), gained: [] })
})

test('a member whose instance id another one takes ends with an error, and leaves the other one alone', async () => {
  const machine = await start()
  const plan = new Map([
    ['first', [0]],
    ['second', [0]],
  ])
  const lost: string[] = []
  const first = telling('first', plan, { instanceId: 'one' })
  const { onAssign, onRevoke } = first.options.listener
  const listener = { onAssign, onRevoke, onLost: async () => void lost.push('first') }
  const consumer = machine.process('a').consumer({ ...first.options, listener })
  await consumer.start()
  const next = expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'INSTANCE_TAKEN',
  })
  const second = telling('second', plan, { instanceId: 'one' })
  await machine.process('b').consumer(second.options).start()
  await next
  expect([lost, machine.hosts, second.changes.length]).toEqual([['first'], ['b'], 1])
})

test('a member with another assignor than the others is not let in', async () => {
  const machine = await start()
  const plan = new Map([['a', [0]]])
  await machine.process('a').consumer(telling('a', plan).options).start()
  const other = machine.process('b').consumer(telling('b', plan, { assignor: planned(plan, 'other') }).options)
  await expect(other.start()).rejects.toMatchObject({ code: 'GROUP_INCONSISTENT' })
  expect(machine.hosts).toEqual(['a'])
})

test('a member that has joined joins again at once if another one comes before the assignment', async () => {
  const machine = await start()
  const plan = new Map([['leader', [0, 1, 2]]])
  const held = new DisturbedBackend(machine.log.backend)
  await machine.process('leader', { backend: held }).consumer(telling('leader', plan).options).start()
  const [toJoin, toAssign] = [deferred<void>(), deferred<void>()]
  held.before = toJoin.promise
  const started = [machine.process('a').consumer(telling('a', plan).options).start()]
  await machine.clock.advance(0)
  held.before = toAssign.promise
  toJoin.resolve()
  await machine.clock.advance(0)
  expect(machine.log.group('group').phase).toBe('completing')
  started.push(machine.process('b').consumer(telling('b', plan).options).start())
  await machine.clock.advance(0)
  const waiting = [...machine.log.group('group').members.values()].filter(({ joined }) => !joined)
  expect(waiting.map(({ host }) => host)).toEqual(['leader'])
  toAssign.resolve()
  await Promise.all(started)
  expect(machine.log.group('group').phase).toBe('stable')
})
