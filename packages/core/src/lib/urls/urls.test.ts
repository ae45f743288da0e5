import { describe, expect, test } from 'vitest'
import { parseBrokerUrl, redactUrl, parseStoreUrl } from './urls.ts'

describe('broker', () => {
  test.each([
    ['kafka://localhost:9092', { scheme: 'kafka', brokers: ['localhost:9092'] }],
    ['kafka://a,b:9093/', { scheme: 'kafka', brokers: ['a:9092', 'b:9093'] }],
    ['KAFKA://[::1]:9094,10.0.0.1', { scheme: 'kafka', brokers: ['[::1]:9094', '10.0.0.1:9092'] }],
    ['embedded:', { scheme: 'embedded', directory: undefined }],
    ['embedded:./data', { scheme: 'embedded', directory: './data' }],
    ['embedded:/var/my data', { scheme: 'embedded', directory: '/var/my data' }],
    ['memory:', { scheme: 'memory' }],
  ])('%s', (text, url) => {
    expect(parseBrokerUrl(text)).toEqual(url)
  })

  test.each([
    ['', 'is empty'],
    [' kafka://a', 'has spaces around it'],
    ['localhost:9092', 'has no scheme: write kafka://localhost:9092'],
    ['a:9092,b:9092', 'has no scheme: write kafka://a:9092,b:9092'],
    ['localhost', 'has no scheme: write kafka://localhost'],
    ['kafak://a', "unknown scheme 'kafak' (did you mean 'kafka'?)"],
    ['http://a', "unknown scheme 'http' (known are kafka, embedded, memory)"],
    ['kafka:a:9092', 'lacks the two slashes'],
    ['kafka://', 'names no broker'],
    ['kafka://a,,b', 'has an empty place'],
    ['kafka://a, b', 'has a space in it'],
    ['kafka://a:b', "has 'a:b' in it"],
    ['kafka://a:9092/topic', "has 'a:9092/topic' in it"],
    ['kafka://::1', "has '::1' in it"],
    ['kafka://a:99999', 'has the port 99999'],
    ['kafka://a:0', 'has the port 0'],
    ['kafka://user:secret@a', 'has credentials in it'],
    ['embedded://data', 'has slashes after its scheme'],
    ['memory:x', "has 'x' after memory:"],
  ])('%j is refused', (text, problem) => {
    expect(() => parseBrokerUrl(text)).toThrow(
      expect.objectContaining({ code: 'BROKER_URL_INVALID', detail: expect.stringContaining(problem) }),
    )
  })
})

describe('no part of a message shows a password', () => {
  test.each([
    'kafka://me:s3cret@a:9092',
    'kafka://me:s3cret@a:9092,me:s3cret@b:9092',
    'kafka://me:s3cret,s3cret/s3cret@s3cret@a:9092',
    'kafka://a:9092?sasl.password=s3cret',
    'me:s3cret@a:9092',
    'kafak://me:s3cret@a',
    ' kafka://me:s3cret@a',
    'memory:me:s3cret@a',
    'kafka:me:s3cret@a',
    'https://me:s3cret@a/',
  ])('%s', (text) => {
    const refusedBy = (parse: (text: string) => unknown): string => {
      try {
        return `taken: ${JSON.stringify(parse(text))}`
      } catch (error) {
        return String(error)
      }
    }
    for (const parse of [parseBrokerUrl, parseStoreUrl]) {
      expect(refusedBy(parse)).toMatch(/URL_INVALID/)
      expect(refusedBy(parse)).not.toContain('s3cret')
    }
  })

  test('the rest of the URL is shown unchanged', () => {
    expect(redactUrl('kafka://me:x@a:9092,b')).toBe('kafka://***@a:9092,b')
    expect(redactUrl('kafka://a:9092,b/topic')).toBe('kafka://a:9092,b/topic')
    expect(redactUrl('lmdb:./state')).toBe('lmdb:./state')
  })
})

describe('store', () => {
  test.each([
    ['memory:', { scheme: 'memory' }],
    ['lmdb:', { scheme: 'lmdb', directory: undefined }],
    ['lmdb:/abs/dir', { scheme: 'lmdb', directory: '/abs/dir' }],
  ])('%s', (text, url) => {
    expect(parseStoreUrl(text)).toEqual(url)
  })

  test.each([
    ['lmbd:', "did you mean 'lmdb'?"],
    ['rocksdb:', 'known are memory, lmdb'],
    ['./dir', 'has no scheme: write lmdb:./dir'],
    ['lmdb://dir', 'has slashes'],
    ['memory:./dir', 'takes nothing'],
  ])('%j is refused', (text, problem) => {
    expect(() => parseStoreUrl(text)).toThrow(
      expect.objectContaining({ code: 'STORE_URL_INVALID', detail: expect.stringContaining(problem) }),
    )
  })
})
