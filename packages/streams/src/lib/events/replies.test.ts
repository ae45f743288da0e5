import { systemClock } from '@millrace/core'
import { expect, it } from 'vitest'
import { MemoryEvent } from '../fixtures/memory-event.fixture.ts'
import type { InFlight, ReplyRequest } from './in-flight.ts'
import { Replies } from './replies.ts'

/** Somebody who asks, and what they hear. */
class Asking implements ReplyRequest {
  readonly heard: string[] = []

  answer(value: unknown): void {
    this.heard.push(`answered ${String(value)}`)
  }

  close(_event: InFlight, isAnswered: boolean): void {
    this.heard.push(isAnswered ? 'closed' : 'closed without an answer')
  }

  async refuse(error: Error): Promise<void> {
    this.heard.push(`refused: ${error.message}`)
  }
}

function inFlight(offset: number): InFlight {
  const origin = {
    agent: 'a',
    keyCodec: undefined,
    task: { id: '1-0', partitions: 1, partition: 0, open: () => undefined },
    topic: 'in',
    partition: 0,
    signal: new AbortController().signal,
    send: ({ topic }: { readonly topic: string }) => ({
      topic,
      partition: 0,
      offset: 0,
      timestamp: systemClock().now(),
    }),
    finished: () => {},
    again: () => {},
  }
  const event = new MemoryEvent(origin, { offset, key: null, value: null, headers: [], timestamp: 0 }, 0)
  return Object.assign(event, { handedOn: undefined, join: () => {} })
}

/** A batch of events, of which some carry a request. */
function batch(asked: readonly boolean[]): {
  readonly replies: Replies | undefined
  readonly asking: readonly Asking[]
} {
  const asking = asked.map(() => new Asking())
  const all = asking.map((one, i) => ({
    replies: Replies.to(asked[i] === true ? one : undefined, inFlight(i)),
    count: 1,
  }))
  return { replies: Replies.together(all), asking }
}

const heardBy = (asking: readonly Asking[]): readonly string[] => asking.map(({ heard }) => heard.join(', '))

it('are none where nobody has asked', () => {
  expect(Replies.to(undefined, inFlight(0))).toBeUndefined()
  expect(batch([false, false]).replies).toBeUndefined()
})

it('answer the nth event with the nth yield, whoever of a batch has asked', () => {
  const { replies, asking } = batch([false, true, false, true, true])
  for (const value of ['a', 'b', 'c', 'd']) replies?.yielded(value)
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered b, closed', '', 'answered d, closed', 'closed without an answer'])
})

it('answer a whole batch with its only yield, and each once', () => {
  const { replies, asking } = batch([true, true])
  replies?.yielded('all')
  replies?.close()
  expect(heardBy(asking)).toEqual(['answered all, closed', 'answered all, closed'])
  const none = batch([true, true])
  none.replies?.close()
  expect(heardBy(none.asking)).toEqual(['closed without an answer', 'closed without an answer'])
})

it('do not answer the others with the first of several yields', () => {
  const { replies, asking } = batch([true, true, true])
  replies?.yielded('a')
  replies?.yielded('b')
  replies?.close()
  expect(heardBy(asking)).toEqual(['answered a, closed', 'answered b, closed', 'closed without an answer'])
})

it('begin again where the effects of an attempt were dropped', () => {
  const { replies, asking } = batch([false, true])
  replies?.yielded('a')
  replies?.yielded('b')
  replies?.reset()
  replies?.yielded('c')
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered b, closed without an answer'])
})

it('refuse those that have no answer, once', async () => {
  const { replies, asking } = batch([false, true, true])
  replies?.yielded('a')
  replies?.yielded('b')
  await replies?.refuse(new Error('it is broken'), undefined)
  await replies?.refuse(new Error('it is broken'), undefined)
  expect(heardBy(asking)).toEqual(['', 'answered b', 'refused: it is broken'])
})

it('pass on the first request with its event', () => {
  const { replies, asking } = batch([true, true])
  replies?.passOn()
  replies?.yielded('a')
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered a, closed'])
})
