import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readServerEvents, type StreamedEvent } from './server-events.ts'

/** A stream of these pieces. */
function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    },
  })
}

async function eventsIn(text: string, cuts: readonly number[] = []): Promise<readonly StreamedEvent[]> {
  const bytes = new TextEncoder().encode(text)
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b)
  const pieces = ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end))
  const found: StreamedEvent[] = []
  for await (const event of readServerEvents(streamOf(pieces), () => {})) found.push(event)
  return found
}

const TEXT = [
  'retry: 1000',
  ': alive',
  'event: value\nid: a1\ndata: {"key":"ü","value":1}',
  'event:delete\ndata:one\ndata: two',
  'id: b2',
  'event: ready\ndata\nunknown: x',
].join('\n\n')

const EVENTS: readonly StreamedEvent[] = [
  { event: undefined, data: '', id: undefined, retryMs: 1000 },
  { event: undefined, data: '', id: undefined, retryMs: undefined },
  { event: 'value', data: '{"key":"ü","value":1}', id: 'a1', retryMs: undefined },
  { event: 'delete', data: 'one\ntwo', id: undefined, retryMs: undefined },
  { event: undefined, data: '', id: 'b2', retryMs: undefined },
  { event: 'ready', data: '', id: undefined, retryMs: undefined },
]

test('events are the same however the stream is cut, and whatever its line ends', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), fc.boolean(), async (cuts, isCrlf) => {
      const text = `${TEXT}\n\n`
      expect(await eventsIn(isCrlf ? text.replaceAll('\n', '\r\n') : text, cuts)).toEqual(EVENTS)
    }),
    { numRuns: 50 },
  )
})

test('an event whose end has not come is none', async () => {
  expect(await eventsIn('event: value\ndata: 1\n\nevent: value\ndata: 2\n')).toHaveLength(1)
})

test('the stream is given up when its reader has had enough, and every piece is a sign of life', async () => {
  let isCancelled = false
  let pulled = 0
  const endless = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        pulled++
        controller.enqueue(new TextEncoder().encode('event: value\ndata: 1\n\n'))
      },
      cancel: () => void (isCancelled = true),
    },
    { highWaterMark: 0 },
  )
  let alive = 0
  for await (const { event } of readServerEvents(endless, () => void alive++))
    if (event === 'value' && alive === 3) break
  expect([isCancelled, pulled]).toEqual([true, 3])
})
