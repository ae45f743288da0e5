import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Logger } from '../../contracts/logger.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { secretsOf, secretsOfEnvironment } from '../settings/setting-names.ts'
import { resolveSettings } from '../settings/resolve-settings.ts'
import { isSecretName, RedactingLogger, redactor, redactText } from './redact.ts'

test.each([
  ['connect to postgres://me:hunter2@db:5432/shop failed', 'connect to postgres://***@db:5432/shop failed'],
  ['kafka://me:p@ss/wo:rd@a:9092,b:9092', 'kafka://***@a:9092,b:9092'],
  ['GET https://me:hunter2@a.example/x failed', 'GET https://***@a.example/x failed'],
  ['Authorization: Bearer abc.def-ghi', 'Authorization: ***'],
  ['{"authorization":"Basic bWU6cHc=","host":"a"}', '{"authorization":"***","host":"a"}'],
  ['cookie: a=b; millrace-session=1.x\nhost: a', 'cookie: ***\nhost: a'],
  ['sent bearer abcdefgh12345', 'sent bearer ***'],
  ["{ user: 'me', password: 'hunter2' }", "{ user: 'me', password: '***' }"],
  ['https://a/?access_token=abc&x=1', 'https://a/?access_token=***&x=1'],
  ['sasl password: hunter2, try again', 'sasl password: ***, try again'],
  ['-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----!', '***!'],
])('%s', (text, shown) => {
  expect(redactText(text)).toBe(shown)
  expect(redactText(shown)).toBe(shown)
})

test.each([
  'Unexpected token } in JSON at position 3',
  'Setting web.token is missing; it takes text.',
  'ECONNREFUSED http://10.0.0.7:6066/table/words/a@b.example',
  'at file:///app/node_modules/.pnpm/pino@9.1/index.js:1:2 and https://unpkg.example/vue@3',
  'Give all workers the same web.secret: openssl rand -base64 32.',
  'The agent "cookie-jar" failed.',
])('nothing is taken from: %s', (text) => {
  expect(redactText(text)).toBe(text)
})

const secrets = fc.array(fc.string({ unit: 'binary', minLength: 6, maxLength: 40 }), { minLength: 1, maxLength: 4 })
const around = fc.string({ unit: 'grapheme', maxLength: 30 })

test('a known secret is redacted in plain text, JSON and URLs', () => {
  fc.assert(
    fc.property(secrets, around, around, (known, before, after) => {
      fc.pre(
        known.every(
          (secret) => secret.trim().length >= 4 && Buffer.from(secret).toString() === secret && !'***'.includes(secret),
        ),
      )
      const redact = redactor(known)
      for (const secret of known) {
        const text = `${before}${secret}${after} ${JSON.stringify({ secret })} ${encodeURIComponent(secret)}`
        const shown = redact(text)
        for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
          if (!`${before}***${after} {"secret":"***"} ***`.includes(form)) expect(shown).not.toContain(form)
      }
    }),
  )
})

test('credentials in a URL are redacted, whatever the credentials and the text around the URL', () => {
  const word = fc.string({
    unit: fc.constantFrom(...'abcXYZ019!$%&*()-_=+:@/?#[]{}|\\~^.,;'.split('')),
    minLength: 6,
    maxLength: 30,
  })
  fc.assert(
    fc.property(word, word, around, (user, password, before) => {
      const shown = redactText(`${before} kafka://${user}:${password}@broker:9092 is away`)
      expect(shown).not.toContain(password)
      expect(shown).toContain('@broker:9092 is away')
    }),
  )
})

test('long text crafted to be slow is redacted quickly', () => {
  for (const part of ['a://', 'password=', 'cookie:', '-----BEGIN PRIVATE KEY-----', 'bearer ', '://@', '"token":"'])
    expect(redactText(part.repeat(20_000)).length).toBeGreaterThan(0)
})

test('values of secret settings are redacted, whether from the app file or the environment', () => {
  const settings = resolveSettings({
    argument: {
      id: 'shop',
      kafka: { sasl: { mechanism: 'plain', username: 'me', password: 'of-the-broker' } },
      web: { token: 'of-all-the-pages', secret: 'of-the-workers-16' },
    },
  })
  expect(secretsOf(settings).toSorted()).toEqual(['of-all-the-pages', 'of-the-broker', 'of-the-workers-16'])
  expect(secretsOfEnvironment({ MILLRACE_WEB_TOKEN: 'abcd', MILLRACE_WEB_PORT: '1', PATH: 'x' })).toEqual(['abcd'])
})

test.each(['authorization', 'Cookie', 'set-cookie', 'X-API-Key', 'access_token', 'clientSecret', 'password'])(
  'a header "%s" is secret whatever it holds',
  (name) => expect(isSecretName(name)).toBe(true),
)

test('log fields are redacted at any depth; fields without a secret stay the same object', () => {
  const lines: { readonly fields: object; readonly message: string }[] = []
  const add = (fields: object, message: string): void => void lines.push({ fields, message })
  const inner: Logger = { debug: add, info: add, warn: add, error: add }
  const log = new RedactingLogger(inner, redactor(['hunter2']))
  const cause = new Error('login with hunter2')
  const err = new MillraceError('BROKER_UNREACHABLE', 'kafka://me:pw@a is away', { cause })
  const ring: { self?: object; password: string } = { password: 'short' }
  ring.self = ring
  const url = new URL('http://me:pw@a/')
  log.error(
    { err, url, list: [{ deep: 'hunter2' }], headers: { cookie: 'a=b' }, ring, bytes: Buffer.from('x') },
    'hunter2!',
  )
  const [line] = lines
  expect(line?.message).toBe('***!')
  const shown: unknown = line?.fields
  expect(shown).toMatchObject({
    err: { code: 'BROKER_UNREACHABLE', cause: { message: 'login with ***' } },
    url: 'http://***@a/',
    list: [{ deep: '***' }],
    headers: { cookie: '***' },
    ring: { password: '***' },
  })
  const copy: unknown = typeof shown === 'object' && shown !== null && 'err' in shown ? shown.err : undefined
  expect(copy).toBeInstanceOf(MillraceError)
  expect(copy instanceof Error ? `${copy.stack}${copy.message}` : '').not.toMatch(/pw|hunter2/)
  expect(err.message).toContain('me:pw')
  const plain = { error: new Error('plain'), n: 1, list: [1] }
  log.warn(plain, 'nothing secret')
  expect(lines[1]?.fields).toBe(plain)
})
