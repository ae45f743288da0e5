import { expect, test } from 'vitest'
import { parsePeerList } from './peer-list.ts'

test('matches ranges, addresses and names, and nothing else', () => {
  const list = parsePeerList('10.0.0.0/8, 192.168.1.7,fd12::/16, shop-1.example, *.Shop-headless')
  for (const address of ['10.0.0.1', '10.255.0.1', '::ffff:10.1.2.3', '192.168.1.7', 'fd12::7'])
    expect([address, list.hasAddress(address)]).toEqual([address, true])
  for (const address of ['11.0.0.1', '192.168.1.8', 'fd13::7', '::1', '127.0.0.1'])
    expect([address, list.hasAddress(address)]).toEqual([address, false])
  for (const host of ['shop-1.example', 'SHOP-1.example.', 'a.shop-headless', 'b.a.shop-headless'])
    expect([host, list.hasHost(host)]).toEqual([host, true])
  for (const host of [
    'a.shop-1.example',
    'shop-headless',
    'ashop-headless',
    'a.shop-headless.evil',
    'example',
    '10.0.0.1',
  ])
    expect([host, list.hasHost(host)]).toEqual([host, false])
})

test.each([
  '',
  'a,,b',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0/8',
  '10.0.0',
  '::/129',
  'a/8',
  'a:80',
  '[::1]',
  '*',
  '*.*.a',
  'http://a',
  'a b',
])('%j is refused by name', (text) => {
  expect(() => parsePeerList(text)).toThrow(expect.objectContaining({ code: 'SETTING_INVALID' }))
})
