import {
  toError,
  type EventEnd,
  type EventTrace,
  type SendTrace,
  type TracedEvent,
  type TracedSend,
  type Tracing,
} from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { createAgent } from '../agents/create-agent.ts'
import { createChannel } from '../channels/channel.ts'
import { streamsForTests } from '../fixtures/streams-for-tests.fixture.ts'
import { currentTrace, followed, sendFollowed } from './trace-headers.ts'

const TRACED = ['traced', Buffer.from('1')] as const

/** Records its calls. */
class Told implements Tracing {
  readonly lines: string[] = []
  readonly events: TracedEvent[] = []
  isRecording = true

  attach(): void {}

  eventStarted(event: TracedEvent): EventTrace {
    this.events.push(event)
    return this.#trace(`${event.topic}@${event.offset}`)
  }

  sendStarted({ topic, headers }: TracedSend): SendTrace {
    return {
      headers: [...headers, TRACED],
      end: (error) =>
        void this.lines.push(`sent to ${topic}${error === undefined ? '' : `: ${toError(error).message}`}`),
    }
  }

  job<R>(_: unknown, work: () => R | Promise<R>): Promise<R> {
    return Promise.resolve(work())
  }

  request(_: Request, work: (routed: (path: string) => void) => Promise<Response>): Promise<Response> {
    return work(() => {})
  }

  forward<R>(_: unknown, work: (headers: Readonly<Record<string, string>>) => Promise<R>): Promise<R> {
    return work({})
  }

  #trace(name: string): EventTrace {
    return {
      isRecording: this.isRecording,
      join: (other) => {
        this.lines.push(`${name} joins ${other === undefined ? 'nothing' : 'another'}`)
        return this.#trace(`${name}+`)
      },
      failed: (error) => void this.lines.push(`${name} failed: ${error.message}`),
      changed: (rows) => void this.lines.push(`${name} changed ${rows.size}`),
      end: (as: EventEnd) => void this.lines.push(`${name} ${as}`),
    }
  }
}

describe('an event that is followed', () => {
  it('reports its source, the outcome of each attempt, and its changes', async () => {
    const tracing = new Told()
    const { deps: traced, createTopic, engine, run, until } = streamsForTests({ tracing })
    const orders = createTopic('orders', { value: 'string', partitions: 1 })
    const out = createTopic('out', { value: 'string', partitions: 1 })
    const attempts: string[] = []
    const agent = createAgent(
      traced,
      'agent',
      orders,
      async (stream) => {
        for await (const order of stream) {
          attempts.push(order)
          if (order === 'bad') throw new Error('no good')
          if (order === 'late' && attempts.filter((one) => one === 'late').length === 1) throw new Error('too early')
          await out.send({ value: order })
        }
      },
      { onError: { retry: 1, backoff: 1, then: 'skip' } },
    )
    await run(agent)
    for (const value of ['good', 'late', 'bad']) await orders.send({ value, headers: { kind: value } })
    await orders.send({ value: null })
    await until(
      'all are over',
      () => tracing.lines.filter((line) => / (processed|skipped|tombstones)$/.test(line)).length === 4,
    )
    await engine.stop()
    expect(tracing.events[0]).toEqual({
      topic: 'orders',
      isChannel: false,
      partition: 0,
      offset: 0,
      headers: [['kind', Buffer.from('good')], TRACED],
      agent: 'agent',
      worker: engine.context?.id,
      app: 'app',
      attempts: 0,
    })
    expect(tracing.lines.filter((line) => line.startsWith('orders@') && !line.includes('failed'))).toEqual([
      'orders@0 changed 0',
      'orders@0 processed',
      'orders@1 retried',
      'orders@1 changed 0',
      'orders@1 processed',
      'orders@2 retried',
      'orders@2 changed 0',
      'orders@2 skipped',
      'orders@3 changed 0',
      'orders@3 tombstones',
    ])
    expect(engine.records('out').map(({ headers }) => headers)).toEqual([[TRACED], [TRACED]])
  })

  it('ends as one with its batch, even of a channel, and reports no rows if nothing is recorded', async () => {
    const tracing = new Told()
    tracing.isRecording = false
    const { deps: traced, createTopic, run, until } = streamsForTests({ tracing })
    const numbers = createTopic('numbers', { value: 'number', partitions: 1 })
    const calls = createChannel<string>(traced, 'calls')
    let seen: boolean | undefined
    const batched = createAgent(traced, 'batched', numbers, async (stream) => {
      for await (const _ of stream.take(3)) seen = currentTrace(traced.contexts) !== undefined
    })
    const called = createAgent(traced, 'called', calls, async (stream) => {
      for await (const _ of stream) continue
    })
    await run(batched, called)
    await Promise.all([1, 2, 3].map((value) => numbers.send({ value })))
    await calls.send({ value: 'hello' })
    await until('both are over', () => tracing.lines.filter((line) => line.endsWith(' processed')).length >= 2)
    expect(tracing.lines.filter((line) => line.startsWith('numbers@0'))).toEqual([
      'numbers@0 joins another',
      'numbers@0+ joins another',
      'numbers@0++ processed',
    ])
    expect(tracing.lines.some((line) => line.includes('changed'))).toBe(false)
    expect(seen).toBe(true)
    expect(currentTrace(traced.contexts)).toBeUndefined()
    expect(tracing.events.map(({ isChannel }) => isChannel)).toEqual([false, false, false, true])
  })
})

describe('a send that is followed', () => {
  const request = { topic: 'out', partition: undefined, key: null, value: null, headers: [], timestamp: 0 }
  const receipt = { metadata: async () => ({ topic: 'out', partition: 0, offset: 0, timestamp: 0 }) }

  it('is unchanged if nothing traces', async () => {
    const sent: unknown[] = []
    const send = (one: unknown) => {
      sent.push(one)
      return receipt
    }
    expect(sendFollowed(undefined, request, { send })).toBe(receipt)
    expect(sent[0]).toBe(request)
  })

  it('ends with its call, or with the promise that the call returns', async () => {
    const tracing = new Told()
    expect(sendFollowed(tracing, request, { send: () => receipt })).toBe(receipt)
    expect(tracing.lines).toEqual(['sent to out'])
    const later = sendFollowed(tracing, request, { send: async () => receipt })
    expect(tracing.lines).toHaveLength(1)
    expect(await later).toBe(receipt)
    expect(tracing.lines).toEqual(['sent to out', 'sent to out'])
  })

  it('reports its error, at once or later, and rethrows it', async () => {
    const tracing = new Told()
    const refuse = () => {
      throw new Error('closed')
    }
    expect(() => sendFollowed(tracing, request, { send: refuse })).toThrow('closed')
    await expect(followed(tracing.sendStarted(request), Promise.reject(new Error('lost')))).rejects.toThrow('lost')
    expect(tracing.lines).toEqual(['sent to out: closed', 'sent to out: lost'])
  })
})
