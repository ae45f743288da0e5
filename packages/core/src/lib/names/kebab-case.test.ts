import fc from 'fast-check'
import { expect, test } from 'vitest'
import { kebabCase } from './names.ts'

test.each([
  ['maxLatency', 'max-latency'],
  ['web.port', 'web-port'],
  ['saslOAuthToken', 'sasl-oauth-token'],
  ['x509Certificate', 'x509-certificate'],
  ['plain', 'plain'],
])('%s is typed %s', (name, typed) => {
  expect(kebabCase(name)).toBe(typed)
})

test('the text typed so far is kept', () => {
  fc.assert(fc.property(fc.stringMatching(/^[A-Za-z0-9.]*$/), (name) => kebabCase(kebabCase(name)) === kebabCase(name)))
})
