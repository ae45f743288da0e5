import { createApp } from '@millrace/app'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { testApp } from '../index.ts'

/** How libraries put a secret into what they say. Those that nothing tells from other words have to be in the settings. */
const KNOWN = [
  (secret: string) => `login with ${secret} was refused`,
  (secret: string) => `{"user":"me","p":${JSON.stringify(secret)}}`,
  (secret: string) => `GET /?k=${encodeURIComponent(secret)}`,
]
const SHAPED = [
  (secret: string) => `connect postgres://me:${secret}@db:5432/shop ECONNREFUSED`,
  (secret: string) => `401 from https://a.example: Authorization: Bearer ${secret}`,
  (secret: string) => `request {"headers":{"cookie":"session=${secret}"}} failed`,
  (secret: string) => `password=${secret}; retry`,
]

const secret = fc.string({
  unit: fc.constantFrom(...'abcdefXYZ0123456789-_.~+'.split('')),
  minLength: 16,
  maxLength: 40,
})
const settings = fc.record({ token: secret, secret, password: secret, passphrase: secret })

it('no secret of a setting, a URL or an error appears in logs, pages, dead letters or replies', async () => {
  await fc.assert(
    fc.asyncProperty(
      settings,
      secret,
      fc.constantFrom(...KNOWN),
      fc.constantFrom(...SHAPED),
      async (planted, stranger, know, shape) => {
        const { token, password, passphrase } = planted
        const app = createApp({
          id: 'shop',
          web: { token, secret: planted.secret },
          kafka: { sasl: { mechanism: 'plain', username: 'me', password }, ssl: { passphrase } },
        })
        const values = Object.values(planted)
        const says = [...values.map(know), shape(stranger)]
        const failing = (text: string): Error =>
          Object.assign(new Error(text, { cause: new Error(text) }), { code: 'E_LOGIN', config: { url: text } })
        const orders = app.topic('orders', { value: 'number', partitions: 1 })
        app.agent(
          'charge',
          orders,
          async (stream) => {
            for await (const n of stream) throw failing(says[n] ?? '')
          },
          { onError: 'deadLetter' },
        )
        const answer = app.agent(
          'answer',
          { value: 'number' },
          async function* (stream) {
            for await (const n of stream) {
              if (n >= 0) throw failing(says[n] ?? '')
              yield n
            }
          },
          { onError: 'deadLetter' },
        )
        app.timer('1h', async function remind() {
          throw failing(says.join(' '))
        })
        app.page('/fails/', () => {
          throw failing(says.join(' '))
        })
        await using t = await testApp(app)
        const replies: string[] = []
        for (const n of says.keys()) {
          await t.send(orders, n)
          await answer.ask(n).catch((error: unknown) => replies.push(String(error)))
        }
        await t.settle()
        await t.clock.advance('1h')
        const out: string[] = [...replies]
        const headers = { authorization: `Bearer ${token}` }
        const [letter] = t.log.records('shop-charge-dlq')
        for (const path of [
          '/',
          '/stats',
          '/assignment/',
          '/router/',
          '/jobs/',
          '/graph/',
          '/live/',
          '/metrics',
          '/dead-letters/',
          `/dead-letters/charge/0/${letter?.offset ?? 0}/`,
          '/fails/',
        ]) {
          const page = await t.fetch(path, { headers })
          expect([path, page.status]).toEqual([path, path === '/fails/' ? 500 : 200])
          out.push(await page.text())
        }
        for (const topic of ['shop-charge-dlq', 'shop-answer-dlq', 'shop-replies'])
          for (const { headers: given, value } of t.log.records(topic))
            out.push(given.map(([name, text]) => `${name}: ${text?.toString('utf8')}`).join('\n'), String(value))
        for (const { fields, message } of t.logged.lines)
          out.push(message, JSON.stringify(fields), String(Reflect.get(fields, 'err')))
        expect(replies).toHaveLength(says.length)
        expect(t.log.records('shop-charge-dlq')).toHaveLength(says.length)
        for (const text of out)
          for (const one of [...values, stranger]) {
            expect(text).not.toContain(one)
            expect(text).not.toContain(encodeURIComponent(one))
          }
      },
    ),
    { numRuns: 8 },
  )
})
