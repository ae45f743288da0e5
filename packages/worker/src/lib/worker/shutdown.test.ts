import {
  type Consumer,
  type ConsumerOptions,
  manualClock,
  MillraceError,
  type TransactionalProducer,
} from '@millrace/core'
import { createMemoryLog } from '@millrace/transport-embedded'
import { expect, test } from 'vitest'
import { LeasedTransport } from '../fixtures/leased-transport.fixture.ts'
import { Outside, outgoing, type TestApp, testWorker, until } from '../fixtures/test-worker.fixture.ts'

type Call = 'init' | 'send offsets' | 'commit' | 'abort' | 'close a producer' | 'commit offsets' | 'committed' | 'leave'

/** A transport with one call that never gets an answer, until its part is closed. */
class Unanswered extends LeasedTransport {
  readonly call: Call
  silent = false
  /** Calls that wait. */
  waiting = 0

  constructor(inner: ConstructorParameters<typeof LeasedTransport>[0], call: Call) {
    super(inner, () => 0)
    this.call = call
  }

  override consumer(options: ConsumerOptions): Consumer {
    const inner = super.consumer(options)
    return {
      ...inner,
      commit: (offsets) => this.#answer('commit offsets', () => inner.commit(offsets)),
      committed: (partitions) => this.#answer('committed', () => inner.committed(partitions)),
      close: () => this.#answer('leave', () => inner.close()),
    }
  }

  override transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    const inner = super.transactionalProducer(options)
    const closed = new AbortController()
    return {
      init: () => this.#answer('init', () => inner.init(), closed.signal),
      partitions: (topic) => inner.partitions(topic),
      lane: (partition) => inner.lane(partition),
      send: (records, sending) => inner.send(records, sending),
      begin: () => inner.begin(),
      sendOffsets: (groupId, offsets) =>
        this.#answer('send offsets', () => inner.sendOffsets(groupId, offsets), closed.signal),
      commit: () => this.#answer('commit', () => inner.commit(), closed.signal),
      abort: () => this.#answer('abort', () => inner.abort(), closed.signal),
      close: () => {
        closed.abort()
        return this.#answer('close a producer', () => inner.close())
      },
    }
  }

  #answer<T>(call: Call, ask: () => Promise<T>, closed?: AbortSignal): Promise<T> {
    if (!this.silent || this.call !== call) return ask()
    this.waiting++
    return new Promise<T>((_, reject) =>
      closed?.addEventListener('abort', () => reject(new MillraceError('CLOSED', 'The producer is closed.'))),
    )
  }
}

const SHUTDOWN_MS = 5000
const CLOSING_MS = 5000

const cases: readonly (readonly [Call, exactlyOnce: boolean, inHand: boolean])[] = [
  ['init', true, false],
  ['committed', true, false],
  ['committed', false, false],
  ['send offsets', true, false],
  ['commit', true, false],
  ['abort', true, false],
  ['close a producer', true, false],
  ['commit offsets', false, false],
  ['leave', false, false],
  ['leave', true, true],
]

test.each(cases)(
  'a stop comes to its end in its time when this call is never answered: %s (exactly once: %s, an event in hand: %s)',
  async (call, exactlyOnce, inHand) => {
    const clock = manualClock()
    // Nothing is committed then: its transaction stays open.
    const hard = call === 'abort'
    let isInHand = false
    const log = createMemoryLog()
    const outside = new Outside(log)
    await outside.topic('in', 2)
    await outside.numbers('in', { count: 10, partitions: 2 })
    let transport: Unanswered | undefined
    const app: TestApp = {
      agents: [
        {
          name: 'a',
          topics: ['in'],
          handler: async (event) => {
            event.send(outgoing('out', 0, 'k', 'v'))
            if (!inHand || event.offset !== 3) return
            isInHand = true
            await new Promise((resolve) => event.signal.addEventListener('abort', resolve, { once: true }))
          },
        },
      ],
      topics: { out: 1 },
      settings: { exactlyOnce, shutdownTimeoutMs: SHUTDOWN_MS, commitIntervalMs: hard ? 600_000 : 50 },
    }
    const opening = call === 'init' || call === 'committed'
    const { worker } = testWorker(log, app, {
      clock,
      wrap: (inner) => {
        transport = new Unanswered(inner, call)
        transport.silent = opening
        return transport
      },
    })
    const started = worker.start()
    started.catch(() => {})
    if (opening) await until('the call waits', () => (transport?.waiting ?? 0) > 0)
    else {
      await started
      await until('handled', () => (inHand ? isInHand : worker.stats().agents['a']?.processed === 10))
      if (transport !== undefined) transport.silent = true
    }
    let over = false
    void worker.stop({ hard }).then(() => (over = true))
    for (let passedMs = 0; !over && passedMs < SHUTDOWN_MS + CLOSING_MS; passedMs += 250) await clock.advance(250)
    await until('stopped', () => over, 2000)
    expect(transport?.waiting).toBeGreaterThan(0)
    expect(worker.status).toBe('stopped')
  },
)
