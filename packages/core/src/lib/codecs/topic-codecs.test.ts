import { expect, test } from 'vitest'
import type { CodecEnvironment, CodecSource, CodecUse, TopicCodec } from '../../contracts/codec.ts'
import { plainLogger } from '../../contracts/logger.ts'
import { codecWait, CodecWaitsError, MillraceError } from '../errors/millrace-error.ts'
import { manualClock } from '../time/manual-clock.ts'
import { resolveCodec } from './resolve-codec.ts'
import { TopicCodecs } from './topic-codecs.ts'

const KIND = Symbol('registry')

class Source implements CodecSource {
  opened = 0
  readonly environment: CodecEnvironment
  readonly uses: CodecUse[] = []

  constructor(environment: CodecEnvironment) {
    this.environment = environment
  }

  async open(): Promise<void> {
    this.opened++
  }

  close(): void {
    this.opened--
  }

  get admin(): never {
    throw new Error('There is none.')
  }
}

const late = new Promise<void>(() => {})

/** Writes the topic in front of the text. */
const codec: TopicCodec<string> = {
  name: 'topical',
  encode: () => {
    throw new MillraceError('CODEC_UNKNOWN', 'It has no topic.')
  },
  decode: () => '',
  forTopic(use, sources) {
    const source = sources(KIND, (environment) => new Source(environment))
    if (source instanceof Source) source.uses.push(use)
    return {
      name: 'topical',
      encode: (text) => Buffer.from(`${use.topic}/${use.part}:${text}`),
      decode: (bytes) => bytes.toString(),
      missing: (bytes) => (bytes.length > 20 ? late : undefined),
      encodeText: (text) => Buffer.from(text.toUpperCase()),
    }
  },
}

const clock = manualClock()
const environment: CodecEnvironment = {
  clock,
  log: plainLogger(clock),
  settings: { schemaRegistry: 'http://a', connectTimeoutMs: 1 },
}

test('a codec that depends on its topic is bound to it, and all of an app share one source', async () => {
  const codecs = new TopicCodecs(environment)
  const orders = codecs.bind(codec, { topic: 'orders', part: 'value', canonical: false, isWritten: false })
  const keys = codecs.bind(codec, { topic: 'orders', part: 'key', canonical: true, isWritten: false })
  expect([orders.encode('a').toString(), keys.encode('a').toString()]).toEqual(['orders/value:a', 'orders/key:a'])
  expect(codecs.sources).toHaveLength(1)
  const [source] = codecs.sources
  expect(source).toMatchObject({ environment, uses: [{ part: 'value' }, { part: 'key' }] })
  await codecs.open()
  await codecs.open()
  codecs.close()
  expect(source).toMatchObject({ opened: 1 })
})

test('other specs stay what they are, and a bound codec stays bound', () => {
  const codecs = new TopicCodecs(environment)
  const use = { topic: 'orders', part: 'value', canonical: false, isWritten: false } as const
  expect([codecs.bind('json', use), codecs.bind(undefined, use)]).toEqual(['json', undefined])
  const bound = codecs.bind(codec, use)
  expect(codecs.bind(bound, { ...use, topic: 'others' })).toBe(bound)
})

test('what a codec lacks, and text as its values, go through the codec of a topic', () => {
  const bound = new TopicCodecs(environment).bind(codec, {
    topic: 'orders',
    part: 'value',
    canonical: false,
    isWritten: false,
  })
  const resolved = resolveCodec(bound, 'value', 'topic "orders"')
  expect(resolved.missing?.(Buffer.alloc(30))).toBe(late)
  expect(resolved.missing?.(Buffer.alloc(3))).toBeUndefined()
  expect(resolved.encodeText?.('a').toString()).toBe('A')
  expect(resolveCodec('json', 'value', 'topic "a"')).not.toHaveProperty('missing')
})

test('an error that waits stays one on its way through a codec, and is found among the causes of another', () => {
  const wait = new CodecWaitsError('Not yet.', late)
  const throws = {
    name: 'late',
    encode: () => Buffer.alloc(0),
    decode: () => {
      throw wait
    },
  }
  expect(() => resolveCodec(throws, 'value', 'topic "a"').decode(Buffer.alloc(0))).toThrow(wait)
  const row = new MillraceError('ROW_UNDECODABLE', 'Key "a".', { cause: new Error('inner', { cause: wait }) })
  expect(codecWait(row)).toBe(late)
  expect(codecWait(new Error('alone'))).toBeUndefined()
  const ring = new Error('ring')
  ring.cause = ring
  expect(codecWait(ring)).toBeUndefined()
})
