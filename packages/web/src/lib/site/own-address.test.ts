import { expect, test } from 'vitest'
import { siteUrl } from '../routing/peer-addresses.ts'
import { localUrl, ownAddress } from './web-part.ts'

const address = (
  given: string,
  family: 'IPv4' | 'IPv6',
  internal: boolean,
): NonNullable<Parameters<typeof ownAddress>[1]>[string] => [
  family === 'IPv4'
    ? { address: given, family, internal, netmask: '', mac: '', cidr: null }
    : { address: given, family, internal, netmask: '', mac: '', cidr: null, scopeid: 0 },
]
const interfaces = {
  lo: address('127.0.0.1', 'IPv4', true),
  six: address('fe80::1', 'IPv6', false),
  eth: address('10.1.2.3', 'IPv4', false),
  second: address('10.9.9.9', 'IPv4', false),
}

test.each([
  ['0.0.0.0', undefined, '10.1.2.3:6066'],
  ['::', undefined, '10.1.2.3:6066'],
  ['127.0.0.1', undefined, '127.0.0.1:6066'],
  ['node-7', undefined, 'node-7:6066'],
  ['::1', undefined, '[::1]:6066'],
  ['0.0.0.0', 'outside.example', 'outside.example:6066'],
  ['0.0.0.0', 'outside.example:80', 'outside.example:80'],
  ['0.0.0.0', 'fe80::7', '[fe80::7]:6066'],
  ['0.0.0.0', '[fe80::7]:70', '[fe80::7]:70'],
  ['0.0.0.0', 'https://outside.example', 'https://outside.example'],
])('bound to %s and advertised as %s: %s', (host, advertise, expected) => {
  const own = ownAddress({ host, port: 6066, advertise }, interfaces)
  expect(own).toBe(expected)
  expect(siteUrl(own).host).not.toBe('')
})

test('an https site is advertised as https', () => {
  const at = (advertise: string | undefined): string =>
    ownAddress({ host: '0.0.0.0', port: 6066, scheme: 'https', advertise }, interfaces)
  expect([undefined, 'a.example', 'a.example:70', 'http://a.example'].map(at)).toEqual([
    'https://10.1.2.3:6066',
    'https://a.example:6066',
    'https://a.example:70',
    'http://a.example',
  ])
  expect(localUrl({ host: '::', port: 6066, scheme: 'https' })).toBe('https://localhost:6066/')
})

test('a machine without a network advertises the loopback', () => {
  expect(ownAddress({ host: '0.0.0.0', port: 1, advertise: undefined }, {})).toBe('127.0.0.1:1')
})

test('the URL shown to a person can be opened', () => {
  expect(localUrl({ host: '0.0.0.0', port: 6066 })).toBe('http://localhost:6066/')
  expect(localUrl({ host: '::1', port: 6066 })).toBe('http://[::1]:6066/')
  expect(localUrl({ host: '10.0.0.1', port: 80 })).toBe('http://10.0.0.1:80/')
})
