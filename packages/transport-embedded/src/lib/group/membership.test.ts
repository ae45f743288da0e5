import { eventually } from '@millrace/conformance'
import { deferred } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import { afterEach, describe, expect, test } from 'vitest'
import { HeardBackend } from '../memory/heard-backend.ts'
import { DisturbedBackend, Machine, member } from './sessions.fixture.ts'

let machine: Machine | undefined
async function start(): Promise<Machine> {
  return (machine = await Machine.start())
}
afterEach(() => machine?.close())

/** A member that writes down all that it hears. */
function hearing(happened: string[], listener: Partial<ConsumerOptions['listener']> = {}): ConsumerOptions {
  return member(happened, {
    listener: {
      onAssign: async ({ generation }) => void happened.push(`generation ${generation}`),
      onRevoke: async () => void happened.push('revoke'),
      onLost: async () => void happened.push('lost'),
      ...listener,
    },
  })
}

describe('a member that is thrown out', () => {
  test('before it had an assignment joins as a new member, without an onLost', async () => {
    const machine = await start()
    const held = new DisturbedBackend(machine.log.backend)
    await machine.process('a', { backend: held }).consumer(hearing([])).start()
    const gate = deferred<void>()
    held.before = gate.promise
    const happened: string[] = []
    const started = machine.process('b').consumer(hearing(happened)).start()
    await machine.clock.advance(0)
    const first = machine.idOf('b')
    await machine.throwOut('b')
    await machine.clock.advance(0)
    expect(machine.idOf('b')).not.toBe(first)
    gate.resolve()
    await started
    expect(happened).toEqual([expect.stringMatching(/^generation/)])
    expect(machine.errors).toEqual([])
  })

  test('again before it has another assignment hears of one loss', async () => {
    const machine = await start()
    const held = new DisturbedBackend(machine.log.backend)
    await machine.process('a', { backend: held }).consumer(hearing([])).start()
    const happened: string[] = []
    await machine.process('b').consumer(hearing(happened)).start()
    const gate = deferred<void>()
    held.before = gate.promise
    for (let time = 0; time < 2; time++) {
      await machine.throwOut('b')
      await machine.clock.advance(0)
    }
    gate.resolve()
    await machine.clock.advance(0)
    expect(happened).toEqual([expect.stringMatching(/^gen/), 'lost', expect.stringMatching(/^gen/)])
  })

  test('joins again beside others that have instance ids of their own', async () => {
    const machine = await start()
    const happened: string[] = []
    await machine
      .process('a')
      .consumer({ ...hearing([]), instanceId: 'one' })
      .start()
    await machine
      .process('b')
      .consumer({ ...hearing(happened), instanceId: 'two' })
      .start()
    expect([machine.idOf('a'), machine.idOf('b')]).toEqual([
      expect.stringMatching(/^one-/),
      expect.stringMatching(/^two-/),
    ])
    await machine.throwOut('b')
    await machine.clock.advance(0)
    expect(happened.slice(1)).toEqual(['lost', expect.stringMatching(/^gen/)])
    expect(machine.errors).toEqual([])
  })

  test('while it drains is notified at once, and of its next assignment after the drain', async () => {
    const machine = await start()
    const draining = deferred<void>()
    const happened: string[] = []
    const consumer = machine
      .process('a')
      .consumer(hearing(happened, { onRevoke: () => (happened.push('revoke'), draining.promise) }))
    await consumer.start()
    consumer.rejoin()
    await machine.clock.advance(0)
    await machine.throwOut('a')
    await machine.clock.advance(1_000)
    expect(happened).toEqual(['generation 1', 'revoke', 'lost'])
    expect(machine.hosts).toEqual([])
    draining.resolve()
    await machine.clock.advance(0)
    expect(happened).toEqual(['generation 1', 'revoke', 'lost', 'generation 2'])
  })

  test('while it rejoins loses its partitions, and its join does not count as a sign of life', async () => {
    const machine = await start()
    const held = new DisturbedBackend(machine.log.backend)
    const cleaned = deferred<void>()
    const happened: string[] = []
    const consumer = machine
      .process('a', { backend: held })
      .consumer(hearing(happened, { onLost: () => (happened.push('lost'), cleaned.promise) }))
    await consumer.start()
    const heardMs = consumer.lastHeartbeatMs()
    expect(heardMs).toBe(machine.clock.monotonic())
    await machine.clock.advance(100)
    const gate = deferred<void>()
    held.before = gate.promise
    consumer.rejoin()
    await machine.clock.advance(0)
    await machine.throwOut('a')
    gate.resolve()
    await machine.clock.advance(0)
    expect(happened).toEqual(['generation 1', 'revoke', 'lost'])
    expect(consumer.lastHeartbeatMs()).toBe(heardMs)
    cleaned.resolve()
    await machine.clock.advance(0)
    expect(happened.at(-1)).toBe('generation 2')
    expect(consumer.lastHeartbeatMs()).toBe(heardMs + 100)
  })
})

describe('a member that fails', () => {
  const failing = (): ConsumerOptions => ({
    ...hearing([]),
    assignor: {
      name: 'broken',
      assign: () => {
        throw new Error('No plan.')
      },
    },
  })

  test('reports it to its reader and the log, leaves at once, and does nothing more', async () => {
    const machine = await start()
    const consumer = machine.process('a').consumer(failing())
    await expect(consumer.start()).rejects.toThrow('No plan.')
    await eventually(() => machine.hosts.length === 0, { what: 'the member to leave' })
    expect(machine.errors).toMatchObject([{ groupId: 'group', err: { message: 'No plan.' } }])
    await expect(consumer.batches()[Symbol.asyncIterator]().next()).rejects.toThrow('No plan.')
    await machine.clock.advance(1_000)
    expect([machine.clock.pending(), machine.warnings]).toEqual([0, []])
  })

  test('and cannot leave reports that too, and the others wait for its session', async () => {
    const machine = await start()
    const held = new DisturbedBackend(machine.log.backend)
    const consumer = machine.process('a', { backend: held }).consumer({
      ...failing(),
      assignor: {
        name: 'broken',
        assign: () => {
          held.before = Promise.reject(new Error('The disk is full.'))
          throw new Error('No plan.')
        },
      },
    })
    await expect(consumer.start()).rejects.toThrow('No plan.')
    await machine.clock.advance(0)
    expect(machine.warnings).toMatchObject([
      { groupId: 'group', memberId: machine.idOf('a'), err: { message: 'The disk is full.' } },
    ])
    // It gives no sign of life.
    await machine.clock.advance(1_000)
    expect(machine.beatsOf('a')).toBe(0)
  })

  test('after it was closed reports nothing', async () => {
    const machine = await start()
    const assigning = deferred<void>()
    const consumer = machine.process('a').consumer(hearing([], { onAssign: () => assigning.promise }))
    const started = expect(consumer.start()).rejects.toMatchObject({ code: 'CLOSED' })
    await machine.clock.advance(0)
    await consumer.close()
    await started
    assigning.reject(new Error('Too late.'))
    await machine.clock.advance(0)
    expect([machine.errors, machine.warnings]).toEqual([[], []])
  })
})

test('a leader gets the existing topics, and not a deleted one', async () => {
  const machine = await start()
  const process = machine.process('a')
  const admin = process.admin()
  await admin.createTopics([{ name: 'u', partitions: 3, replicationFactor: -1, config: {} }])
  const told: ReadonlyMap<string, number>[] = []
  const consumer = process.consumer({
    ...hearing([]),
    topics: ['t', 'u'],
    assignor: {
      name: 'nothing',
      assign: ({ partitions }) => {
        told.push(partitions)
        return { assignments: new Map(), groupData: Buffer.alloc(0) }
      },
    },
  })
  await consumer.start()
  expect(machine.idOf('a')).toMatch(/^group-/)
  await admin.deleteTopics(['u'])
  consumer.rejoin()
  await machine.clock.advance(0)
  expect(told).toEqual([
    new Map([
      ['t', 1],
      ['u', 3],
    ]),
    new Map([['t', 1]]),
  ])
  await consumer.close()
  expect(machine.clock.pending()).toBe(0)
})

test('a member that does not rejoin is removed after its rebalance time-out, even if its heartbeats continue', async () => {
  const machine = await start()
  const deaf = new HeardBackend(machine.log.backend)
  const happened: string[] = []
  const first = machine.process('a').consumer({ ...hearing(happened), rebalanceTimeoutMs: 2_000 })
  await first.start()
  await machine
    .process('b', { backend: deaf })
    .consumer({ ...hearing([]), rebalanceTimeoutMs: 2_000 })
    .start()
  await machine.clock.advance(300)
  const memberId = machine.idOf('b')
  deaf.deafen()
  first.rejoin()
  await machine.clock.advance(1_500)
  expect(machine.hosts).toEqual(['a', 'b'])
  await machine.clock.advance(900)
  expect(machine.hosts).toEqual(['a'])
  expect(machine.warnings).toContainEqual({ groupId: 'group', memberId, why: 'awaited' })
  expect(happened.slice(-2)).toEqual(['revoke', expect.stringMatching(/^gen/)])
})

test('a member that is killed while it joins does not lead its group', async () => {
  const machine = await start()
  const held = new DisturbedBackend(machine.log.backend)
  const gate = deferred<void>()
  held.before = gate.promise
  const process = machine.process('a', { backend: held })
  void process.consumer(hearing([])).start()
  await machine.clock.advance(0)
  process.kill()
  gate.resolve()
  await machine.clock.advance(0)
  expect([machine.hosts, machine.log.group('group').phase]).toEqual([['a'], 'completing'])
})

test.each(['rebalances', 'is told that it has left', 'rejoins although it has left'])(
  'a member that is killed at any moment while it %s gets no further calls',
  async (what) => {
    for (let turns = 0; turns < 60; turns++) {
      const machine = await Machine.start()
      const happened: string[] = []
      const process = machine.process('a')
      const consumer = process.consumer(hearing(happened))
      void consumer.start()
      for (let turn = 0; turn < turns; turn++) {
        if (turn === 30 && what !== 'is told that it has left') consumer.rejoin()
        if (turn === 30 && what !== 'rebalances') void machine.throwOut('a')
        await Promise.resolve()
      }
      process.kill()
      const before = [...happened]
      await machine.clock.advance(0)
      if (machine.hosts.length > 0) await machine.throwOut('a')
      await machine.clock.advance(0)
      expect({ turns, happened }).toEqual({ turns, happened: before })
      await machine.close()
    }
  },
)
