import { expect, it } from 'vitest'
import { takingWorker } from '../fixtures/taking-worker.fixture.ts'
import type { InFlight, ReplyRequest } from './in-flight.ts'
import { Replies } from './replies.ts'

/** An asker, and the replies that it gets. */
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

/** This many events in flight. */
async function inFlight(count: number): Promise<readonly InFlight[]> {
  const { taker } = await takingWorker(count)
  const events: InFlight[] = []
  while (events.length < count) events.push(await taker.next())
  return events
}

/** A batch of events, some of which carry a request. */
async function batch(asked: readonly boolean[]): Promise<{
  readonly replies: Replies | undefined
  readonly asking: readonly Asking[]
}> {
  const asking = asked.map(() => new Asking())
  const events = await inFlight(asked.length)
  const all = events.map((event, i) => ({
    replies: Replies.to(asked[i] === true ? asking[i] : undefined, event),
    count: 1,
  }))
  return { replies: Replies.together(all), asking }
}

const heardBy = (asking: readonly Asking[]): readonly string[] => asking.map(({ heard }) => heard.join(', '))

it('are absent if nobody has asked', async () => {
  for (const event of await inFlight(1)) expect(Replies.to(undefined, event)).toBeUndefined()
  expect((await batch([false, false])).replies).toBeUndefined()
})

it('answer the nth event with the nth yield, whichever events of a batch carry requests', async () => {
  const { replies, asking } = await batch([false, true, false, true, true])
  for (const value of ['a', 'b', 'c', 'd']) replies?.yielded(value)
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered b, closed', '', 'answered d, closed', 'closed without an answer'])
})

it('answer each asker of a batch once with its only yield', async () => {
  const { replies, asking } = await batch([true, true])
  replies?.yielded('all')
  replies?.close()
  expect(heardBy(asking)).toEqual(['answered all, closed', 'answered all, closed'])
  const none = await batch([true, true])
  none.replies?.close()
  expect(heardBy(none.asking)).toEqual(['closed without an answer', 'closed without an answer'])
})

it('do not answer the others with the first of several yields', async () => {
  const { replies, asking } = await batch([true, true, true])
  replies?.yielded('a')
  replies?.yielded('b')
  replies?.close()
  expect(heardBy(asking)).toEqual(['answered a, closed', 'answered b, closed', 'closed without an answer'])
})

it('begin again if the effects of an attempt were dropped', async () => {
  const { replies, asking } = await batch([false, true])
  replies?.yielded('a')
  replies?.yielded('b')
  replies?.reset()
  replies?.yielded('c')
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered b, closed without an answer'])
})

it('refuse unanswered requests once', async () => {
  const { replies, asking } = await batch([false, true, true])
  replies?.yielded('a')
  replies?.yielded('b')
  await replies?.refuse(new Error('it is broken'), undefined)
  await replies?.refuse(new Error('it is broken'), undefined)
  expect(heardBy(asking)).toEqual(['', 'answered b', 'refused: it is broken'])
})

it('pass on the first request with its event', async () => {
  const { replies, asking } = await batch([true, true])
  replies?.passOn()
  replies?.yielded('a')
  replies?.close()
  expect(heardBy(asking)).toEqual(['', 'answered a, closed'])
})

it('refuse a batch that fails after its only yield, without an answer', async () => {
  const { replies, asking } = await batch([true, true])
  replies?.yielded('a')
  replies?.reset()
  await replies?.refuse(new Error('it is broken'), undefined)
  replies?.close()
  expect(heardBy(asking)).toEqual(['answered a, refused: it is broken, closed', 'refused: it is broken, closed'])
})

it('ignore yields after the end', async () => {
  const { replies, asking } = await batch([true, true])
  replies?.close()
  replies?.yielded('late')
  replies?.yielded('later')
  expect(heardBy(asking)).toEqual(['closed without an answer', 'closed without an answer'])
})

it('count all events of a batch that joins others, with or without requests', async () => {
  const asking = new Asking()
  const [, , , last] = await inFlight(4)
  const replies = Replies.together([
    { replies: undefined, count: 3 },
    { replies: last === undefined ? undefined : Replies.to(asking, last), count: 1 },
  ])
  for (const value of ['a', 'b', 'c', 'd']) replies?.yielded(value)
  replies?.close()
  expect(asking.heard).toEqual(['answered d', 'closed'])
})
