import { deferred } from '@millrace/core'
import { afterEach, expect, test } from 'vitest'
import { HeardBackend } from '../memory/heard-backend.ts'
import { DisturbedBackend, HEARTBEAT_MS, Machine, member, SESSION_MS } from './sessions.fixture.ts'

let machine: Machine | undefined
async function start(): Promise<Machine> {
  return (machine = await Machine.start())
}
afterEach(() => machine?.close())

test('a member sends heartbeats at its configured interval until it is closed', async () => {
  const machine = await start()
  const process = machine.process('a')
  const consumer = process.consumer(member([]))
  await consumer.start()
  // One at once, with the first look at the others.
  await machine.clock.advance(200 + 3 * HEARTBEAT_MS)
  expect(machine.beatsOf('a')).toBe(4)
  const sentMs = machine.clock.monotonic()
  expect(consumer.lastHeartbeatMs()).toBe(sentMs)
  await machine.clock.advance(HEARTBEAT_MS - 1)
  expect([machine.beatsOf('a'), consumer.lastHeartbeatMs()]).toEqual([4, sentMs])
  const id = machine.idOf('a')
  process.kill()
  await machine.clock.advance(4 * HEARTBEAT_MS)
  expect(machine.log.backend.read((log) => log.beats('group', id))).toBe(4)
})

test('members of a dead process are removed within half a second, however rare heartbeats are', async () => {
  const machine = await start()
  await machine.process('a').consumer(member([])).start()
  const ended = machine.process('b')
  await ended.consumer(member([])).start()
  await machine.clock.advance(1_000)
  const memberId = machine.idOf('b')
  ended.kill()
  machine.dead.add('b')
  await machine.clock.advance(500)
  expect(machine.hosts).toEqual(['a'])
  expect(machine.warnings).toContainEqual({ groupId: 'group', memberId, why: 'dead' })
})

test('a heartbeat that cannot be written is retried at the next check, and the member stays', async () => {
  const machine = await start()
  const backend = new DisturbedBackend(machine.log.backend)
  const happened: string[] = []
  const consumer = machine.process('a', { backend }).consumer(member(happened))
  await consumer.start()
  backend.fails = true
  await machine.clock.advance(1_000)
  // At each look, and not only when the next heartbeat would be due.
  expect(machine.warnings).toHaveLength(5)
  expect(machine.warnings[0]).toMatchObject({ groupId: 'group', err: { message: 'The disk is full.' } })
  expect(machine.beatsOf('a')).toBe(0)
  backend.fails = false
  await machine.clock.advance(200)
  expect(machine.beatsOf('a')).toBeGreaterThan(0)
  expect(happened).toEqual(['generation 1'])
})

test('a member with a heartbeat between check and removal stays', async () => {
  const machine = await start()
  const slow = new DisturbedBackend(machine.log.backend)
  const beating = new DisturbedBackend(machine.log.backend)
  await machine.process('a', { backend: slow }).consumer(member([])).start()
  await machine.process('b', { backend: beating }).consumer(member([])).start()
  await machine.clock.advance(1_000)
  const id = machine.idOf('b')
  beating.fails = true
  const gate = deferred<void>()
  slow.before = gate.promise
  const before = slow.disturbed
  await machine.clock.advance(SESSION_MS + HEARTBEAT_MS)
  expect(slow.disturbed).toBe(before + 1)
  beating.fails = false
  await machine.clock.advance(HEARTBEAT_MS)
  gate.resolve()
  await machine.clock.advance(1_000)
  expect(machine.idOf('b')).toBe(id)
})

test('a member that joins between check and removal stays', async () => {
  const machine = await start()
  const rebalanceTimeoutMs = 2_000
  const slow = new DisturbedBackend(machine.log.backend)
  const late = new DisturbedBackend(machine.log.backend)
  const first = machine.process('a', { backend: slow }).consumer(member([], { rebalanceTimeoutMs }))
  await first.start()
  await machine.process('b', { backend: late }).consumer(member([], { rebalanceTimeoutMs })).start()
  await machine.clock.advance(1_000)
  const id = machine.idOf('b')
  const [gate, joins] = [deferred<void>(), deferred<void>()]
  late.before = joins.promise
  first.rejoin()
  await machine.clock.advance(200)
  expect(machine.log.group('group').phase).toBe('preparing')
  slow.before = gate.promise
  const before = slow.disturbed
  await machine.clock.advance(2 * rebalanceTimeoutMs)
  expect(slow.disturbed).toBe(before + 1)
  joins.resolve()
  await machine.clock.advance(200)
  gate.resolve()
  await machine.clock.advance(1_000)
  expect(machine.idOf('b')).toBe(id)
  expect(machine.log.group('group').phase).toBe('stable')
})

test('a member learns from its heartbeat that it was removed from the group', async () => {
  const machine = await start()
  const heard = new HeardBackend(machine.log.backend)
  const happened: string[] = []
  await machine.process('a', { backend: heard }).consumer(member(happened)).start()
  await machine.clock.advance(1_000)
  const listen = heard.deafen()
  await machine.throwOut('a')
  await machine.clock.advance(HEARTBEAT_MS)
  expect(happened).toEqual(['generation 1', 'lost'])
  listen()
  await machine.clock.advance(1_000)
  expect(machine.hosts).toEqual(['a'])
  expect(happened).toHaveLength(3)
})

test('a member that was removed from the group removes nobody', async () => {
  const machine = await start()
  const cleaned = deferred<void>()
  const { listener } = member([])
  await machine
    .process('a')
    .consumer(member([], { listener: { ...listener, onLost: () => cleaned.promise } }))
    .start()
  const silent = machine.process('b')
  await silent.consumer(member([])).start()
  await machine.clock.advance(1_000)
  await machine.throwOut('a')
  silent.kill()
  machine.dead.add('b')
  await machine.clock.advance(2 * SESSION_MS)
  expect(machine.hosts).toEqual(['b'])
  cleaned.resolve()
  await machine.clock.advance(SESSION_MS)
  expect(machine.hosts).toEqual(['a'])
})

test.each(['succeeds', 'fails'])(
  'a member that is killed during a heartbeat that then %s does nothing more',
  async (how) => {
    const machine = await start()
    const backend = new DisturbedBackend(machine.log.backend)
    const process = machine.process('a', { backend })
    await process.consumer(member([])).start()
    await machine.process('b').consumer(member([])).start()
    const written = deferred<void>()
    backend.beforeBeat = written.promise
    await machine.clock.advance(250)
    process.kill()
    // Somebody else would have to find out.
    machine.process('b').kill()
    machine.dead.add('b')
    const timers = machine.clock.pending()
    backend.fails = how === 'fails'
    written.resolve()
    await machine.clock.advance(0)
    expect([machine.hosts, machine.warnings, machine.clock.pending()]).toEqual([['a', 'b'], [], timers])
  },
)

test('a member that is removed because it does not rejoin is removed even if its heart beats meanwhile', async () => {
  const machine = await start()
  const held = new DisturbedBackend(machine.log.backend)
  const deaf = new HeardBackend(held)
  const options = { ...member([]), rebalanceTimeoutMs: 2_000, heartbeatIntervalMs: 500 }
  const first = machine.process('a', { backend: held }).consumer(options)
  await first.start()
  await machine.process('b', { backend: deaf }).consumer(options).start()
  await machine.clock.advance(300)
  deaf.deafen()
  first.rejoin()
  await machine.clock.advance(1_500)
  const written = deferred<void>()
  held.before = written.promise
  await machine.clock.advance(700)
  expect(machine.hosts).toEqual(['a', 'b'])
  const [id, beats] = [machine.idOf('b'), machine.beatsOf('b') + 1]
  await machine.log.backend.write('quiet', (log) => log.putBeats('group', id, beats))
  written.resolve()
  await machine.clock.advance(0)
  expect(machine.hosts).toEqual(['a'])
})

test('a consumer that was never started is closed like any other', async () => {
  const machine = await start()
  await machine.process('a').consumer(member([])).close()
  expect(machine.clock.pending()).toBe(0)
})
