import { type Clock, type Logger, manualClock, type ManualClock } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import { expect, test } from 'vitest'
import { LogTransport } from '../clients/log-transport.ts'
import { Lifespan } from '../log/lifespan.ts'
import { createMemoryLog, type MemoryLog } from '../memory/memory-log.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const SESSION_MS = 10_000

/** A clock of the machine's: its timers stand still while the machine sleeps, and the time goes on. */
class MachineClock {
  readonly timers: ManualClock = manualClock()
  readonly clock: Clock
  #sleptMs = 0

  constructor() {
    const { timers } = this
    const monotonic = (): number => timers.monotonic() + this.#sleptMs
    this.clock = {
      now: () => timers.now() + this.#sleptMs,
      monotonic,
      elapsedSince: (sinceMs) => monotonic() - sinceMs,
      cpuTime: () => timers.cpuTime(),
      schedule: (delayMs, fn) => timers.schedule(delayMs, fn),
      sleep: (delayMs, signal) => timers.sleep(delayMs, signal),
    }
  }

  sleep(forMs: number): void {
    this.#sleptMs += forMs
  }
}

/** A process of its own on a log, whose members have sessions as on the embedded log. */
function processOn(log: MemoryLog, clock: Clock, host: string): LogTransport {
  return new LogTransport(
    { name: 'memory with sessions', durable: false, shared: true, uncommittedVisible: false, sessions: true },
    {
      backend: log.backend,
      clock,
      log: silent,
      lifespan: new Lifespan('transport'),
      host,
      isHostDead: () => false,
    },
  )
}

function member(happened: string[]): ConsumerOptions {
  return {
    groupId: 'group',
    topics: ['t'],
    instanceId: undefined,
    assignor: { name: 'nothing', assign: () => ({ assignments: new Map(), groupData: Buffer.alloc(0) }) },
    memberData: () => Buffer.alloc(0),
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: 60_000,
    heartbeatIntervalMs: 3_000,
    isolation: 'read-committed',
    maxPartitionBytes: 1_000,
    listener: {
      onRevoke: async () => {},
      onAssign: async ({ generation }) => void happened.push(`generation ${generation}`),
      onLost: async () => void happened.push('lost'),
    },
  }
}

test('when a machine wakes up, the process that is first does not take the others for dead', async () => {
  const log = createMemoryLog()
  const machine = new MachineClock()
  const happened: string[] = []
  const processes = ['a', 'b'].map((host) => processOn(log, machine.clock, host))
  await processes[0]?.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
  for (const process of processes) await process.consumer(member(happened)).start()
  await machine.timers.advance(5_000)
  const before = [...happened]
  expect(log.group('group').members.size).toBe(2)

  // More than a session, and less than it takes until the next tick: nobody's heartbeats have come in between.
  machine.sleep(20 * SESSION_MS)
  await machine.timers.advance(5_000)
  expect(happened).toEqual(before)
  expect(log.group('group').members.size).toBe(2)
  await Promise.all(processes.map((process) => process.close()))
})

test('a member that stays silent is out after its session, also beside one that has slept', async () => {
  const log = createMemoryLog()
  const machine = new MachineClock()
  const happened: string[] = []
  const [awake, dead] = ['a', 'b'].map((host) => processOn(log, machine.clock, host))
  await awake?.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
  await awake?.consumer(member(happened)).start()
  await dead?.consumer(member([])).start()
  await machine.timers.advance(5_000)
  dead?.kill()
  machine.sleep(20 * SESSION_MS)
  await machine.timers.advance(SESSION_MS / 2)
  expect(log.group('group').members.size).toBe(2)
  await machine.timers.advance(SESSION_MS)
  expect(log.group('group').members.size).toBe(1)
  await awake?.close()
})
