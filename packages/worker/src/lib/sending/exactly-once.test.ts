import { deferred, endOfTurn, type ErrorCode, type ManualClock, manualClock, MillraceError } from '@millrace/core'
import type { TransactionalProducer } from '@millrace/core/driver'
import { createMemoryLog, createMemoryTransport, type MemoryLog } from '@millrace/transport-embedded'
import { describe, expect, test } from 'vitest'
import { Lease } from '../environment/lease.ts'
import { testEnvironment } from '../fixtures/task.fixture.ts'
import { outgoing, Outside, silentLog, until } from '../fixtures/test-worker.fixture.ts'
import { Delays } from './delays.ts'
import { TransactionOutput } from './exactly-once.ts'
import { Outgoing } from './outgoing.ts'
import { SendBudget } from './send-budget.ts'

const OFFSET = { topic: 'in', partition: 0, offset: 7, metadata: '' }
const HEARTBEAT_MS = 100
const SESSION_MS = 1000

/** The calls of a producer that a test counts, and may make fail. */
type Call = 'init' | 'begin' | 'sendOffsets' | 'commit' | 'abort' | 'close'

class Site {
  readonly clock: ManualClock = manualClock()
  readonly log: MemoryLog
  readonly calls: Call[] = []
  readonly fails = new Map<Call, Error>()
  readonly held: boolean[] = []
  readonly reopened: string[] = []
  readonly failed: Error[] = []
  readonly refused: Outgoing[] = []
  readonly lost = new AbortController()
  readonly transactions = { aborted: 0 }
  readonly lease: Lease
  readonly output: TransactionOutput
  readonly share: number
  heardMs: number
  /** `commit` waits for it. */
  gate: Promise<void> = Promise.resolve()
  /** Requests wait for it. */
  sendGate: Promise<void> = Promise.resolve()
  isSending = false

  private constructor(log: MemoryLog, { failures = 0, maxBytes = 40_000 }: SiteOptions) {
    const { clock, transactions, lost } = this
    this.log = log
    this.share = maxBytes / 4
    this.heardMs = clock.monotonic()
    this.lease = new Lease(clock, { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: HEARTBEAT_MS })
    this.lease.follow({ lastHeartbeatMs: () => this.heardMs })
    const environment = testEnvironment(clock, { heartbeatIntervalMs: HEARTBEAT_MS })
    const transport = createMemoryTransport(log, { clock, log: silentLog })
    this.output = new TransactionOutput(
      {
        ...environment,
        transport: { transactionalProducer: (options) => this.#watched(transport.transactionalProducer(options)) },
      },
      {
        ...{ clock, lease: this.lease, transactions, sensor: { sendCompleted: () => {} } },
        budget: new SendBudget(maxBytes, undefined),
        delays: new Delays({ clock, log: silentLog, deliveryTimeoutMs: 60_000 }),
      },
      {
        failures,
        task: {
          id: '1-0',
          signal: lost.signal,
          delayed: () => {},
          delayOver: () => {},
          refused: (record) => void this.refused.push(record),
          holdForSends: (on) => void this.held.push(on),
          reopen: (reason) => void this.reopened.push(reason),
          fail: (error) => void this.failed.push(error),
        },
      },
    )
  }

  static async start(options: SiteOptions = {}): Promise<Site> {
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 1)
    await outside.topic('out', 1)
    return new Site(log, options)
  }

  /** With a fenced output, whose transactions may begin. */
  static async fenced(options: SiteOptions = {}): Promise<Site> {
    const site = await Site.start(options)
    await site.output.fence(-Infinity)
    return site
  }

  send(value: string): Outgoing {
    const record = new Outgoing(outgoing('out', 0, 'k', value), undefined)
    this.output.add(record)
    return record
  }

  /** The values that readers of committed records see. */
  get values(): readonly string[] {
    return this.log.records('out').map(({ value }) => String(value))
  }

  #watched(inner: TransactionalProducer): TransactionalProducer {
    const call = async (name: Call, run: () => Promise<void>): Promise<void> => {
      this.calls.push(name)
      if (name === 'commit') await this.gate
      const error = this.fails.get(name)
      if (error !== undefined) throw error
      return run()
    }
    return {
      partitions: (topic) => inner.partitions(topic),
      brokerOf: (partition) => inner.brokerOf(partition),
      send: async (records, options) => {
        this.isSending = true
        await this.sendGate
        return inner.send(records, options)
      },
      init: () => call('init', () => inner.init()),
      begin: () => call('begin', () => inner.begin()),
      sendOffsets: (groupId, offsets) => call('sendOffsets', () => inner.sendOffsets(groupId, offsets)),
      commit: () => call('commit', () => inner.commit()),
      abort: () => call('abort', () => inner.abort()),
      close: () => call('close', () => inner.close()),
    }
  }
}

interface SiteOptions {
  readonly failures?: number
  readonly maxBytes?: number
}

const refusal = (code: ErrorCode): MillraceError => new MillraceError(code, 'No.')

describe('fencing', () => {
  test('waits for a sign of life that is late enough', async () => {
    const site = await Site.start()
    const { clock, output } = site
    const sinceMs = clock.monotonic() + 1
    const fenced = output.fence(sinceMs)
    await clock.advance(3 * HEARTBEAT_MS)
    expect(site.calls).toEqual([])
    site.heardMs = sinceMs
    await clock.advance(HEARTBEAT_MS / 2)
    await fenced
    expect([site.calls, output.failures]).toEqual([['init'], 0])
  })

  test('waits for the lease, even after such a sign', async () => {
    const site = await Site.start()
    site.lease.end()
    const fenced = site.output.fence(-Infinity)
    await site.clock.advance(HEARTBEAT_MS)
    expect(site.calls).toEqual([])
    site.lease.renew()
    await site.clock.advance(HEARTBEAT_MS)
    await fenced
    expect(site.calls).toEqual(['init'])
  })

  test('is given up when the task is lost', async () => {
    const before = await Site.start()
    before.lost.abort(new Error('Lost.'))
    await before.output.fence(-Infinity)
    expect(before.calls).toEqual([])
    const waiting = await Site.start()
    waiting.lease.end()
    const fenced = expect(waiting.output.fence(-Infinity)).rejects.toThrow('Lost.')
    waiting.lost.abort(new Error('Lost.'))
    await fenced
    expect([waiting.calls, waiting.clock.pending()]).toEqual([[], 0])
  })

  test.each([
    { failures: 0, fromMs: 0, toMs: 0 },
    { failures: 1, fromMs: 0, toMs: 0 },
    { failures: 2, fromMs: 79, toMs: 100 },
    { failures: 3, fromMs: 159, toMs: 200 },
    { failures: 50, fromMs: 7_999, toMs: 10_000 },
  ])('begins after $failures failures between $fromMs and $toMs ms later', async ({ failures, fromMs, toMs }) => {
    const site = await Site.start({ failures })
    const fenced = site.output.fence(-Infinity)
    site.heardMs = Infinity
    if (fromMs > 0) {
      await site.clock.advance(fromMs)
      expect(site.calls).toEqual([])
    }
    await site.clock.advance(toMs - fromMs)
    await fenced
    expect([site.calls, site.output.failures]).toEqual([['init'], failures])
  })

  test('that fails counts as a failure', async () => {
    const site = await Site.start()
    site.fails.set('init', new Error('No coordinator.'))
    await expect(site.output.fence(-Infinity)).rejects.toThrow('No coordinator.')
    expect(site.output.failures).toBe(1)
  })
})

test('records of finished events are seen once their transaction is committed, those after its seal with the next', async () => {
  const site = await Site.fenced()
  const { output } = site
  expect([output.transactional, output.group === output, output.pending]).toEqual([true, true, 0])
  site.send('a')
  site.send('b')
  expect(output.pending).toBe(2)
  const sealed = output.seal()
  site.send('c')
  expect(output.pending).toBe(3)
  await sealed
  expect([output.pending, site.values]).toEqual([1, []])
  expect(await output.commit([OFFSET])).toBe(true)
  expect([site.values, site.log.committed('app')]).toMatchObject([['a', 'b'], [{ offset: 7 }]])
  output.release()
  await output.seal()
  expect(await output.commit([])).toBe(true)
  expect(site.values).toEqual(['a', 'b', 'c'])
  // Offsets are sent where there are some.
  expect(site.calls).toEqual(['init', 'begin', 'sendOffsets', 'commit', 'begin', 'commit'])
  expect([site.transactions, site.reopened, site.failed]).toEqual([{ aborted: 0 }, [], []])
})

test('a task is held up while more than its share waits for its commit, and only then', async () => {
  const one = new Outgoing(outgoing('out', 0, 'k', 'v'), undefined).size
  const site = await Site.fenced({ maxBytes: 4 * 3 * one })
  const { output, held } = site
  expect(site.share).toBe(3 * one)
  // Records of the current transaction do not count.
  for (let n = 0; n < 5; n++) site.send('v')
  const sealed = output.seal()
  for (let n = 0; n < 3; n++) site.send('v')
  expect(held).toEqual([])
  site.send('v')
  site.send('v')
  expect(held).toEqual([true])
  await sealed
  await output.commit([OFFSET])
  output.release()
  expect([held, output.pending]).toEqual([[true, false], 5])
  // The count begins anew.
  const again = output.seal()
  for (let n = 0; n < 3; n++) site.send('v')
  expect(held).toEqual([true, false])
  site.send('v')
  expect(held).toEqual([true, false, true])
  await again
})

describe('nothing is committed', () => {
  test('without a lease', async () => {
    const site = await Site.fenced()
    site.lease.end()
    expect([await site.output.commit([OFFSET]), site.calls, site.reopened]).toEqual([false, ['init'], []])
  })

  test('of a task that is lost: all of its sends fail with the reason', async () => {
    const site = await Site.fenced()
    const { output } = site
    const first = site.send('a')
    const sealed = expect(output.seal()).rejects.toThrow('Lost.')
    const [second, reason] = [site.send('b'), new Error('Lost.')]
    output.abandon(reason)
    const third = site.send('c')
    await sealed
    expect([await output.commit([OFFSET]), first.abandoned]).toEqual([false, true])
    for (const record of [second, third]) await expect(record.metadata()).rejects.toBe(reason)
    expect(site.held).toEqual([false])
    const unsealed = await Site.fenced()
    unsealed.output.abandon(reason)
    await expect(unsealed.output.seal()).rejects.toBe(reason)
  })

  test.each(['PRODUCER_FENCED', 'TRANSACTION_STATE', 'MEMBER_FENCED', 'NOT_ASSIGNED', 'LEASE_EXPIRED'] as const)(
    'after %s, which a new producer may get past: the task is reopened',
    async (code) => {
      const site = await Site.fenced()
      site.fails.set('sendOffsets', refusal(code))
      expect(await site.output.commit([OFFSET])).toBe(false)
      expect([site.reopened, site.failed, site.transactions, site.output.failures]).toEqual([
        [refusal(code).message],
        [],
        { aborted: 1 },
        1,
      ])
    },
  )

  test('after any other error: the worker ends', async () => {
    const site = await Site.fenced()
    const error = refusal('NOT_AUTHORIZED')
    site.fails.set('commit', error)
    expect(await site.output.commit([])).toBe(false)
    expect([site.reopened, site.failed, site.transactions, site.output.failures]).toEqual([
      [],
      [error],
      { aborted: 1 },
      1,
    ])
  })

  test('after the producer was closed, which is no failure', async () => {
    const site = await Site.fenced()
    site.fails.set('commit', refusal('CLOSED'))
    expect(await site.output.commit([])).toBe(false)
    expect([site.reopened, site.failed, site.output.failures]).toEqual([[], [], 0])
  })
})

test('a task is told which of its records the broker refuses', async () => {
  const site = await Site.fenced()
  const record = new Outgoing({ ...outgoing('out', 0, 'k', 'v'), partition: 7 }, undefined)
  site.output.add(record)
  await expect(record.metadata()).rejects.toMatchObject({ code: 'PARTITION_MISSING' })
  await until('the task to be told', () => site.refused.length > 0)
  expect(site.refused).toEqual([record])
})

test('failures are forgotten with the next commit', async () => {
  const site = await Site.start({ failures: 1 })
  await site.output.fence(-Infinity)
  site.output.broken(refusal('PRODUCER_FENCED'))
  expect(site.output.failures).toBe(2)
  await site.output.commit([])
  expect(site.output.failures).toBe(0)
})

describe('closing', () => {
  test('aborts an open transaction, and none that has not begun or is committed', async () => {
    const fresh = await Site.fenced()
    await fresh.output.close()
    expect([fresh.calls, fresh.transactions.aborted]).toEqual([['init', 'close'], 0])
    const open = await Site.fenced()
    open.send('a')
    await open.output.seal()
    await open.output.close()
    expect([open.calls, open.transactions.aborted, open.values]).toEqual([['init', 'begin', 'abort', 'close'], 1, []])
    const done = await Site.fenced()
    done.send('a')
    await done.output.seal()
    await done.output.commit([])
    await done.output.close()
    expect([done.calls.at(-1), done.calls.includes('abort'), done.transactions.aborted]).toEqual(['close', false, 0])
  })

  test('fails records that have not gone out, and aborts nothing while others are on their way', async () => {
    const site = await Site.fenced()
    await site.output.begin()
    const record = site.send('a')
    await site.output.close()
    expect([site.calls, site.transactions.aborted]).toEqual([['init', 'begin', 'abort', 'close'], 1])
    await expect(record.metadata()).rejects.toMatchObject({ code: 'CLOSED' })
    const busy = await Site.fenced()
    const gate = deferred<void>()
    busy.sendGate = gate.promise
    busy.send('a')
    await until('the request', () => busy.isSending)
    await busy.output.close()
    expect([busy.calls, busy.transactions.aborted]).toEqual([['init', 'begin', 'close'], 1])
    gate.resolve()
  })

  test.each(['PRODUCER_FENCED', 'TRANSACTION_STATE', 'CLOSED'] as const)(
    'is done if the transaction has ended already: %s',
    async (code) => {
      const site = await Site.fenced()
      await site.output.begin()
      site.fails.set('abort', refusal(code))
      await site.output.close()
      expect(site.calls.at(-1)).toBe('close')
    },
  )

  test('closes the producer even if the transaction cannot be aborted', async () => {
    const site = await Site.fenced()
    await site.output.begin()
    site.fails.set('abort', refusal('NOT_AUTHORIZED'))
    await expect(site.output.close()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    expect(site.calls.at(-1)).toBe('close')
  })

  test('waits until a transaction is committed, if that is under way', async () => {
    const site = await Site.fenced()
    const gate = deferred<void>()
    site.gate = gate.promise
    site.send('v')
    await site.output.seal()
    const committed = site.output.commit([OFFSET])
    await endOfTurn()
    const closed = site.output.close()
    await endOfTurn()
    gate.resolve()
    expect(await committed).toBe(true)
    await closed
    expect([site.values, site.log.committed('app'), site.transactions.aborted]).toMatchObject([['v'], [OFFSET], 0])
    expect(site.calls.includes('abort')).toBe(false)
  })

  test('does not wait longer than two seconds for a commit under way', async () => {
    const site = await Site.fenced()
    const gate = deferred<void>()
    site.gate = gate.promise
    const committed = site.output.commit([])
    await endOfTurn()
    let isClosed = false
    const closed = site.output.close().then(() => (isClosed = true))
    await site.clock.advance(1_999)
    expect([isClosed, site.calls]).toEqual([false, ['init', 'begin', 'commit']])
    await site.clock.advance(1)
    await closed
    expect(site.calls).toEqual(['init', 'begin', 'commit', 'close'])
    site.fails.set('commit', refusal('CLOSED'))
    gate.resolve()
    expect(await committed).toBe(false)
  })
})
