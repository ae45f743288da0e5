import { expect, test } from 'vitest'
import { describeSettings, unknownEnvironment } from './describe-settings.ts'
import { declarationOf } from './setting-names.ts'

const settings = describeSettings()

test('every setting is described', () => {
  expect(settings.length).toBeGreaterThan(40)
  for (const { name, help } of settings) {
    expect(help, name).toMatch(/^[A-Z].*\.$/)
    const { derived, required } = declarationOf(name)
    expect(
      [declarationOf(name).default, derived, required].filter((value) => value !== undefined).length,
      name,
    ).toBeLessThanOrEqual(1)
  }
})

test('variables and options follow the names', () => {
  expect(settings.find(({ name }) => name === 'web.requestTimeout')).toMatchObject({
    environment: 'MILLRACE_WEB_REQUEST_TIMEOUT',
    option: 'web-request-timeout',
    default: "'30s'",
    accepts: expect.stringContaining("'10s'"),
  })
  expect(settings.find(({ name }) => name === 'web.enabled')).toMatchObject({
    option: 'web',
    environment: 'MILLRACE_WEB_ENABLED',
  })
  expect(settings.find(({ name }) => name === 'web.port')).toMatchObject({ option: 'web-port', aliases: ['p'] })
  expect(settings.find(({ name }) => name === 'commitInterval')).toMatchObject({
    option: 'commit-interval',
    default: "'1s', or '100ms' when exactly once",
  })
  expect(settings.find(({ name }) => name === 'kafka.sasl.password')).toMatchObject({
    option: undefined,
    environment: 'MILLRACE_KAFKA_SASL_PASSWORD',
  })
  expect(settings.find(({ name }) => name === 'kafka.sasl.token')).toMatchObject({
    option: undefined,
    environment: undefined,
  })
})

test('no two settings share an option, alias or variable', () => {
  const options = settings.flatMap(({ option, aliases }) => [...(option === undefined ? [] : [option]), ...aliases])
  const variables = settings.flatMap(({ environment }) => environment ?? [])
  expect(new Set(options).size).toBe(options.length)
  expect(new Set(variables).size).toBe(variables.length)
})

test('misspelt variables are found; those of the command line and `millrace dev` are accepted', () => {
  const known = { MILLRACE_WEB_PORT: '1', MILLRACE_APP: 'a.ts', MILLRACE_DEV: '1', PATH: '/' }
  expect(unknownEnvironment({ ...known, MILLRACE_WEB_PROT: '1' })).toEqual([
    { variable: 'MILLRACE_WEB_PROT', nearest: 'MILLRACE_WEB_PORT' },
  ])
})
