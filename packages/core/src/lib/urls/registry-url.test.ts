import { expect, test } from 'vitest'
import { resolveSettings } from '../settings/resolve-settings.ts'
import { secretsOf, secretsOfEnvironment } from '../settings/setting-names.ts'
import { parseRegistryUrl } from './registry-url.ts'

test('user and password are taken out of the URL', () => {
  expect(parseRegistryUrl('https://me:s%40cret@registry.shop:8081/apis/v7/')).toEqual({
    text: 'https://me:s%40cret@registry.shop:8081/apis/v7/',
    base: 'https://registry.shop:8081/apis/v7',
    user: 'me',
    password: 's@cret',
  })
  expect(parseRegistryUrl('http://localhost:8081')).toMatchObject({ base: 'http://localhost:8081', user: undefined })
})

test.each(['localhost:8081', 'kafka://a:1', 'http://', 'http://a/?x=1', 'http://a/#b', 'http://me:50%@a', ''])(
  '%j is refused, without its password',
  (text) => {
    expect(() => parseRegistryUrl(text)).toThrow(expect.objectContaining({ code: 'SCHEMA_REGISTRY_URL_INVALID' }))
    expect(() => parseRegistryUrl(text)).not.toThrow(/50%/)
  },
)

test('of the setting only the password is a secret', () => {
  const env = { MILLRACE_SCHEMA_REGISTRY: 'https://me:s%40cret@registry.shop' }
  const settings = resolveSettings({ env, argument: { id: 'shop' } })
  expect(settings.schemaRegistry).toBe(env.MILLRACE_SCHEMA_REGISTRY)
  expect(secretsOf(settings)).toEqual(['s%40cret', 's@cret'])
  expect(secretsOfEnvironment(env)).toEqual(['s%40cret', 's@cret'])
  expect(secretsOf(resolveSettings({ argument: { id: 'shop', schemaRegistry: 'http://localhost:8081' } }))).toEqual([])
  expect(secretsOfEnvironment({ MILLRACE_SCHEMA_REGISTRY: 'me:secret' })).toEqual(['me:secret'])
})
