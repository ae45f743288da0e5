import { type Clock, manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { logWithTopic, member, processOn, SESSION_MS } from './sessions.fixture.ts'

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

test('when a machine wakes up, the first process does not take the others for dead', async () => {
  const log = await logWithTopic(new MachineClock().clock)
  const machine = new MachineClock()
  const happened: string[] = []
  const processes = ['a', 'b'].map((host) => processOn(log, { clock: machine.clock, host }))
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

test('a member that stays silent is removed after its session, even by one that was suspended', async () => {
  const log = await logWithTopic(new MachineClock().clock)
  const machine = new MachineClock()
  const happened: string[] = []
  const [awake, dead] = ['a', 'b'].map((host) => processOn(log, { clock: machine.clock, host }))
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
