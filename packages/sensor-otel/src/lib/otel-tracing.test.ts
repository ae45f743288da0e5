import { EventEmitter } from 'node:events'
import { context, diag, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { createApp, type App } from '@millrace/app'
import { testApp } from '@millrace/testing'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import {
  ATTR_KAFKA_OFFSET,
  ATTR_MESSAGING_CLIENT_ID,
  ATTR_MESSAGING_CONSUMER_GROUP_NAME,
  ATTR_MESSAGING_DESTINATION_NAME,
  ATTR_MESSAGING_DESTINATION_PARTITION_ID,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
  MESSAGING_OPERATION_TYPE_VALUE_PROCESS,
  MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
} from '@opentelemetry/semantic-conventions/incubating'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { EventSpan } from './event-span.ts'
import { kindOf, parentHeader, SpansForTests } from './fixtures/spans.fixture.ts'
import { contextOfRecord } from './record-headers.ts'

const spans = new SpansForTests()
const tracer = trace.getTracer('test')

beforeEach(() => {
  spans.isSampling = true
  spans.reset()
})
afterAll(() => spans.release())

function traced(id: string): App {
  return createApp({ id, broker: 'memory:', topicPartitions: 1 }, { sensor: spans.sensor })
}

describe('an event', () => {
  test('is a span with the current names of the conventions', async () => {
    const app = traced('names')
    const words = app.topic('words', { key: 'string', value: 'string' })
    app.agent('count', words, async (stream) => {
      for await (const word of stream) void word
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    const span = spans.one('process words')
    expect(kindOf(span)).toBe('CONSUMER')
    expect(span.attributes).toEqual({
      // The attribute's former name.
      'messaging.system': 'kafka',
      [ATTR_MESSAGING_SYSTEM_NAME]: MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
      [ATTR_MESSAGING_OPERATION_NAME]: 'process',
      [ATTR_MESSAGING_OPERATION_TYPE]: MESSAGING_OPERATION_TYPE_VALUE_PROCESS,
      [ATTR_MESSAGING_DESTINATION_NAME]: 'words',
      [ATTR_MESSAGING_DESTINATION_PARTITION_ID]: '0',
      [ATTR_MESSAGING_CONSUMER_GROUP_NAME]: 'names',
      [ATTR_MESSAGING_CLIENT_ID]: 'worker-1',
      [ATTR_KAFKA_OFFSET]: 0,
      'millrace.agent': 'count',
      'millrace.outcome': 'processed',
    })
    expect(kindOf(spans.one('send words'))).toBe('PRODUCER')
    expect(spans.tree).toEqual(['send words', 'send words > process words'])
  })

  test('is active while its handler runs, and not after it', async () => {
    const app = traced('active')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const seen: [string, string | undefined][] = []
    const late: Promise<void>[] = []
    app.agent('count', words, async (stream) => {
      for await (const word of stream) {
        const own = trace.getActiveSpan()?.spanContext().spanId
        seen.push([word, own])
        await new Promise((resolve) => setImmediate(resolve))
        expect(trace.getActiveSpan()?.spanContext().spanId).toBe(own)
        await tracer.startActiveSpan(`look up ${word}`, async (span) => {
          await new Promise((resolve) => setImmediate(resolve))
          expect(trace.getActiveSpan()).toBe(span)
          span.end()
        })
        context.with(ROOT_CONTEXT, () => expect(trace.getActiveSpan()).toBeUndefined())
        expect(trace.getActiveSpan()?.spanContext().spanId).toBe(own)
        late.push(
          new Promise((resolve) => setImmediate(resolve)).then(() =>
            expect(trace.getActiveSpan()?.spanContext().spanId).toBe(own),
          ),
        )
      }
    })
    await using t = await testApp(app)
    await Promise.all(['a', 'b', 'c'].map((value) => words.send({ key: value, value })))
    await t.settle()
    await Promise.all(late)
    expect(seen.map(([word]) => word)).toEqual(['a', 'b', 'c'])
    expect(new Set(seen.map(([, id]) => id)).size).toBe(3)
    for (const [word, id] of seen) {
      const parent = spans.parentOf(spans.one(`look up ${word}`))
      expect([parent?.name, parent?.spanContext().spanId]).toEqual(['process words', id])
    }
  })

  test('whose loop runs inside a user’s span still gets its own span', async () => {
    const app = traced('around')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const out = app.topic('out', { key: 'string', value: 'string' })
    app.agent('around', words, async (stream) => {
      await tracer.startActiveSpan('all', async () => {
        for await (const [key, value] of stream.items()) await out.send({ key, value })
      })
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    expect(spans.wayTo(spans.one('send out'))).toBe('send words > process words > send out')
  })

  test('that is yielded, grouped, passed on or put into a channel stays in its trace', async () => {
    const app = traced('steps')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const sunk = app.topic('sunk', { key: 'string', value: 'string' })
    const notes = app.channel<string>('notes')
    app.agent(
      'by-word',
      words,
      async function* (stream) {
        for await (const word of stream.groupBy((word) => word, { name: 'word' }).echo(notes)) yield word
      },
      { sinks: [sunk] },
    )
    app.agent('note', notes, async (stream) => {
      for await (const note of stream) void note
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b', headers: { own: 'header' } })
    await t.settle()
    const grouped =
      'send words > process words > send steps-by-word-word-repartition > process steps-by-word-word-repartition'
    expect(spans.tree).toEqual(
      [
        'send words',
        'send words > process words',
        'send words > process words > send steps-by-word-word-repartition',
        grouped,
        `${grouped} > send notes`,
        `${grouped} > send notes > process notes`,
        `${grouped} > send sunk`,
      ].toSorted(),
    )
    expect(spans.one('process notes').attributes['messaging.system.name']).toBe('millrace.channel')
    expect(t.sent(sunk)[0]?.headers).toEqual({ own: 'header', traceparent: parentHeader(spans.one('send sunk')) })
  })

  test('that passes its headers on does not pass on its sender’s context', async () => {
    const app = traced('passed-on')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const out = app.topic('out', { key: 'string', value: 'string' })
    const foreign = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    app.agent('pass-on', words, async (stream) => {
      for await (const event of stream.events()) {
        await out.send({ key: 'same', value: event.value, headers: event.headers })
        await out.send({ key: 'own', value: event.value, headers: { ...event.headers, traceparent: foreign } })
      }
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b', headers: { kind: 'x' } })
    await t.settle()
    const sent = t.sent(out)
    expect(sent[0]?.headers).toEqual({ kind: 'x', traceparent: parentHeader(spans.one('send out')) })
    expect(sent[1]?.headers).toEqual({ kind: 'x', traceparent: foreign })
  })

  test('that fails shows the error in each attempt, and its dead letter refers to the last attempt', async () => {
    const app = traced('failing')
    const words = app.topic('words', { key: 'string', value: 'string' })
    app.agent(
      'fail',
      words,
      async (stream) => {
        for await (const word of stream) throw new TypeError(`${word} is no word`)
      },
      { onError: { retry: 1, backoff: '1s' } },
    )
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    await t.clock.advance('1m')
    const attempts = spans.named('process words')
    expect(attempts.map(({ attributes }) => [attributes['millrace.attempts'], attributes['millrace.outcome']])).toEqual(
      [
        [undefined, 'retried'],
        [1, 'deadLettered'],
      ],
    )
    for (const { status, events, attributes } of attempts) {
      expect([status.message, attributes['error.type']]).toEqual(['b is no word', 'TypeError'])
      expect(events.map(({ name }) => name)).toEqual(['exception'])
    }
    const letter = spans.one('send failing-fail-dlq')
    expect(spans.parentOf(letter)).toBe(attempts[1])
    const sentWith = parentHeader(spans.one('send words'))
    const [record] = t.log.records('failing-fail-dlq')
    const parents = record?.headers.flatMap(([name, value]) => (name === 'traceparent' ? String(value) : []))
    expect(parents).toEqual([sentWith, parentHeader(letter)])
    // Replayed, the event has the context from before its failure.
    await app.deadLetters.replay('fail', 'all')
    await t.settle()
    const sentBack = t.log
      .records('words')
      .at(-1)
      ?.headers.find(([name]) => name === 'traceparent')
    expect(String(sentBack?.[1])).toBe(sentWith)
  })

  test('that its handler reaches without waiting and fails on gets the dead letter, not the event before', async () => {
    const app = traced('in-a-row')
    const words = app.topic('words', { key: 'string', value: 'string' })
    app.agent(
      'fail',
      words,
      async (stream) => {
        for await (const word of stream) if (word === 'wrong') throw new TypeError(word)
      },
      { onError: 'deadLetter' },
    )
    await using t = await testApp(app)
    await Promise.all(['fine', 'too', 'wrong'].map((value) => words.send({ key: 'a', value })))
    await t.settle()
    const failed = spans.named('process words').filter(({ attributes }) => 'error.type' in attributes)
    expect(failed.map(({ attributes }) => attributes['millrace.outcome'])).toEqual(['deadLettered'])
    expect(spans.parentOf(spans.one('send in-a-row-fail-dlq'))).toBe(failed[0])
  })

  test('of a batch: the batch continues in the first sampled trace, and the others link to it', async () => {
    const app = traced('batches')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const out = app.topic('out', { key: 'string', value: 'string' })
    app.agent('batch', words, async (stream) => {
      for await (const batch of stream.take(3)) await out.send({ key: 'all', value: batch.join() })
    })
    await using t = await testApp(app)
    for (const value of ['a', 'b', 'c']) {
      spans.isSampling = value !== 'a'
      await words.send({ key: value, value })
    }
    await t.settle()
    const [carrier, other] = spans
      .named('process words')
      .toSorted((a) => (a.attributes['messaging.batch.message_count'] === 3 ? -1 : 1))
    expect(spans.parentOf(spans.one('send out'))).toBe(carrier)
    expect(carrier?.attributes['messaging.batch.message_count']).toBe(3)
    expect(carrier?.links).toHaveLength(2)
    expect(spans.named('process words')).toHaveLength(2)
    expect(carrier?.links.map(({ context: { spanId } }) => spanId)).toContain(other?.spanContext().spanId)
    expect(other?.links.map(({ context: { spanId } }) => spanId)).toEqual([carrier?.spanContext().spanId])
    expect(other?.attributes['millrace.outcome']).toBe('processed')
  })

  test('that is not sampled creates no span, and neither do the events it sends', async () => {
    spans.isSampling = false
    const app = traced('unsampled')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const out = app.topic('out', { key: 'string', value: 'string' })
    app.agent('pass', words, async (stream) => {
      for await (const [key, value] of stream.items()) await out.send({ key, value })
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    expect(spans.all).toEqual([])
    const [first, second] = [t.sent(words)[0], t.sent(out)[0]].map((record) =>
      record?.headers['traceparent']?.split('-'),
    )
    expect(first?.[3]).toBe('00')
    expect([second?.[1], second?.[3]]).toEqual([first?.[1], '00'])
  })
})

test('a sampler that throws loses spans but no events', async () => {
  const said: unknown[] = []
  const silent = (): void => {}
  diag.setLogger({ error: (text) => said.push(text), warn: silent, info: silent, debug: silent, verbose: silent })
  spans.isBroken = true
  const app = traced('broken')
  const words = app.topic('words', { key: 'string', value: 'string' })
  const out = app.topic('out', { key: 'string', value: 'string' })
  app.agent('pass', words, async (stream) => {
    for await (const [key, value] of stream.items()) await out.send({ key, value })
  })
  app.page('/hello/', (c) => c.text('hello'))
  try {
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    expect(t.sent(out)).toMatchObject([{ value: 'b', headers: {} }])
    expect(await (await t.fetch('/hello/')).text()).toBe('hello')
  } finally {
    spans.isBroken = false
    diag.disable()
  }
  expect(spans.all).toEqual([])
  expect(said).toContain('A span "process words" could not be started.')
})

test('a job is the root of its own trace, with its error', async () => {
  const app = traced('jobs')
  const out = app.topic('out', { key: 'string', value: 'string' })
  app.timer('10s', async function tick() {
    await out.send({ key: 'a', value: 'tick' })
    throw new RangeError('too far')
  })
  await using t = await testApp(app)
  await t.clock.advance('10s')
  expect(spans.tree).toEqual(['run tick', 'run tick > send out'])
  const { status, attributes } = spans.one('run tick')
  expect([status.message, attributes['millrace.job.kind']]).toEqual(['too far', 'timer'])
})

test('a failed ask shows its error, and a failed page its status', async () => {
  const app = traced('asks')
  const picky = app.agent(
    'picky',
    { key: 'string', value: 'number' },
    async function* (numbers) {
      for await (const n of numbers) {
        if (n < 0) throw new Error(`${n} is too small`)
        yield n
      }
    },
    { onError: 'skip' },
  )
  app.page('/ask/:n/', async (c) => c.json(await picky.ask(Number(c.params.n))))
  await using t = await testApp(app)
  expect((await t.fetch('/ask/-1/')).status).toBe(500)
  await t.settle()
  const asked = spans.one('ask picky')
  expect([asked.status.message, asked.attributes['error.type']]).toEqual(['-1 is too small', 'ASK_FAILED'])
  const page = spans.one('GET /ask/:n/')
  expect(spans.parentOf(asked)).toBe(page)
  expect(page.attributes).toMatchObject({
    'http.route': '/ask/:n/',
    'http.response.status_code': 500,
    'error.type': '500',
  })
  const refused = spans.one('process asks-picky')
  expect(refused.attributes['millrace.outcome']).toBe('skipped')
  // The error is returned like a reply.
  const reply = spans.one('send asks-replies')
  expect(spans.parentOf(reply)).toBe(refused)
  const [record] = t.log.records('asks-replies')
  expect(record?.headers.filter(([name]) => name === 'traceparent').map(([, value]) => String(value))).toEqual([
    parentHeader(reply),
  ])
  expect((await t.fetch('/nothing/', { method: 'BREW' })).status).toBe(404)
  expect(spans.one('HTTP').attributes).toMatchObject({ 'http.request.method': '_OTHER', 'url.path': '/nothing/' })
})

test('a request with a span from HTTP instrumentation gets no second one', async () => {
  const app = traced('instrumented')
  app.page('/hello/', (c) => c.text(trace.getActiveSpan()?.spanContext().spanId ?? ''))
  await using t = await testApp(app)
  const span = tracer.startSpan('GET')
  const response = await context.with(trace.setSpan(ROOT_CONTEXT, span), () => t.fetch('/hello/'))
  span.end()
  expect(await response.text()).toBe(span.spanContext().spanId)
  expect(spans.one('GET').attributes).toEqual({ 'http.route': '/hello/' })
  // The context in which the server was started belongs to no request.
  spans.reset()
  await context.with(trace.setSpan(ROOT_CONTEXT, span), () => t.fetch('/hello/'))
  expect(spans.tree).toEqual(['GET /hello/'])
})

test('without the sensor, headers are unchanged', async () => {
  const app = createApp({ id: 'silent', broker: 'memory:', topicPartitions: 1 })
  const words = app.topic('words', { key: 'string', value: 'string' })
  const out = app.topic('out', { key: 'string', value: 'string' })
  app.agent('pass', words, async (stream) => {
    for await (const [key, value] of stream.items()) await out.send({ key, value })
  })
  await using t = await testApp(app)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await words.send({ key: 'a', value: 'plain' })
  await words.send({ key: 'a', value: 'traced', headers: { traceparent, tracestate: 'a=1' } })
  await t.settle()
  expect(t.sent(words).map(({ headers }) => headers)).toEqual([{}, { traceparent, tracestate: 'a=1' }])
  expect(t.sent(out).map(({ headers }) => headers)).toEqual([{}, { traceparent, tracestate: 'a=1' }])
  expect(spans.all).toEqual([])
})

test('bound functions and listeners run in their context', () => {
  const span = tracer.startSpan('bound')
  const bound = trace.setSpan(ROOT_CONTEXT, span)
  const other = trace.setSpan(ROOT_CONTEXT, tracer.startSpan('other'))
  const active = (): unknown => trace.getActiveSpan()
  const receiver = {
    name: 'it',
    whose: context.bind(bound, function whose(this: { name: string }, text: string) {
      return [this.name, text, active()]
    }),
  }
  expect(receiver.whose('x')).toEqual(['it', 'x', span])
  const emitter = new EventEmitter()
  const seen: unknown[] = []
  emitter.on('early', () => seen.push(active()))
  expect(context.bind(bound, emitter)).toBe(emitter)
  context.bind(other, emitter)
  emitter.on('late', (text) => seen.push(text, active()))
  context.with(other, () => [emitter.emit('early'), emitter.emit('late', 'y')])
  expect(seen).toEqual([span, 'y', span])
  expect(active()).toBeUndefined()
})

test('under another context manager, sends and asks of handlers still join their trace', async () => {
  context.disable()
  // Registers only its own context manager; the tracers are already registered.
  new NodeTracerProvider().register()
  try {
    const app = traced('other-contexts')
    const words = app.topic('words', { key: 'string', value: 'string' })
    const out = app.topic('out', { key: 'string', value: 'string' })
    const active: unknown[] = []
    app.agent('pass', words, async (stream) => {
      for await (const [key, value] of stream.items()) {
        active.push(trace.getActiveSpan())
        await out.send({ key, value })
      }
    })
    await using t = await testApp(app)
    await words.send({ key: 'a', value: 'b' })
    await t.settle()
    expect(spans.tree).toEqual(['send words', 'send words > process words', 'send words > process words > send out'])
    expect(active).toEqual([undefined])
  } finally {
    context.disable()
    context.setGlobalContextManager(spans.sensor.contextManager.enable())
  }
})

const VALID = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/

/** Some values are valid, most are nearly valid. */
const parents = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .tuple(
      fc.constantFrom('00', '01', 'ff', '0', 'zz', ''),
      fc.oneof(hex(32), hex(31), fc.constant('0'.repeat(32))),
      fc.oneof(hex(16), hex(17), fc.constant('0'.repeat(16))),
      fc.constantFrom('00', '01', '0', 'xx', '01-more', ''),
    )
    .map((parts) => parts.join('-')),
  fc.tuple(hex(32), hex(16)).map(([traceId, spanId]) => `00-${traceId}-${spanId}-01`),
)

function hex(length: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length })
}

test('any trace context of a record is either read or replaced by a new trace', () => {
  const others = fc.array(fc.tuple(fc.constantFrom('tracestate', 'baggage', 'x'), fc.string({ unit: 'binary' })))
  const values = fc.tuple(parents, others, fc.boolean())
  fc.assert(
    fc.property(values, ([parent, more, isNull]) => {
      const named = [...more, ['traceparent', parent] as const]
      const headers = named.map(([name, value]) => [name, isNull ? null : Buffer.from(value, 'utf8')] as const)
      const { tracing } = spans.sensor
      const where = { topic: 'words', isChannel: false, partition: 0, offset: 1 }
      const event = tracing.eventStarted({ ...where, headers, agent: 'a', worker: 'w', app: 'app', attempts: 0 })
      event.end('processed')
      if (!(event instanceof EventSpan)) throw new TypeError('It is of another kind.')
      const { traceId } = event.span.spanContext()
      const read = trace.getSpanContext(contextOfRecord(headers))
      if (read !== undefined) expect([traceId, parent]).toEqual([read.traceId, expect.stringContaining(read.traceId)])
      if (!isNull && VALID.test(parent)) expect(traceId).toBe(parent.split('-')[1])
      if (read === undefined)
        expect([/^(?!0{32})[\da-f]{32}$/.test(traceId), parent.includes(traceId)]).toEqual([true, false])
    }),
    { numRuns: 2_000 },
  )
})
