import { expect, test } from 'vitest'
import { parseAddress } from './cluster-view.ts'

test('addresses with names, numbers and IPv6', () => {
  expect(parseAddress('kafka-1.example:9092')).toMatchObject({ host: 'kafka-1.example', port: 9092 })
  expect(parseAddress('[::1]:9093')).toMatchObject({ host: '::1', port: 9093 })
})

test.each(['kafka', 'kafka:', ':9092', 'kafka:0', 'kafka:99999', '::1:9092', 'a/b:1'])('%s is no address', (text) => {
  expect(() => parseAddress(text)).toThrow(/BROKER_URL_INVALID.*is not host:port/)
})
