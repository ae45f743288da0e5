import { describe, expect, test } from 'vitest'
import { checkPlaces } from './places.ts'
import { planted } from './planted.ts'

const messages = (files: Readonly<Record<string, string>>): readonly string[] =>
  checkPlaces(planted(files)).map(({ file, line, message }) => `${file}:${line ?? ''} ${message}`)

test('a sound workspace passes', () => {
  expect(messages({})).toEqual([])
})

describe('a library in the wrong place is found', () => {
  test.each([
    'kafkajs',
    'lmdb',
    'yargs',
    'yargs/helpers',
    'hono',
    'hono/cors',
    '@hono/node-server',
    'cron-parser',
    'tsx/esm/api',
    'node:timers/promises',
    'vitest',
  ])('%s', (library) => {
    expect(messages({ 'packages/streams/src/lib/breach.ts': `import type { x } from '${library}'` })).toHaveLength(1)
    expect(messages({ 'packages/streams/src/lib/fine.test.ts': `import { x } from '${library}'` })).toEqual([])
  })

  test('its own package may; a library that begins alike is another', () => {
    expect(
      messages({
        'packages/core/package.json': '{"name":"@millrace/core"}',
        'packages/transport-kafkajs/src/lib/a.ts': "import 'kafkajs'",
      }),
    ).toEqual([])
    expect(messages({ 'packages/streams/src/lib/fine.ts': "import { x } from 'lmdb-js'" })).toEqual([])
  })

  test('one file of it only', () => {
    const cli = '{"name":"@millrace/cli"}'
    const found = messages({
      'packages/cli/package.json': cli,
      'packages/cli/src/lib/a.ts': "import 'yargs'",
      'packages/cli/src/lib/b.ts': "const y = () => import('yargs')",
    })
    expect(found).toEqual([
      'packages/cli/src/lib/b.ts: imports yargs, which belongs to one file: packages/cli/src/lib/a.ts',
    ])
  })
})

describe('time and timers of the runtime are found', () => {
  test.each([
    'Date.now()',
    'new Date()',
    'performance.now()',
    'setTimeout(() => 1, 5)',
    'setInterval (f, 5)',
    'AbortSignal.timeout(5)',
    'process.hrtime.bigint()',
    '[1].map(Date.now)',
  ])('%s', (code) => {
    expect(messages({ 'packages/streams/src/lib/breach.ts': `\nexport const x = ${code}\n` })).toEqual([
      expect.stringMatching(/breach\.ts:2 .*use the Clock/),
    ])
    expect(messages({ 'packages/core/src/lib/time/clock.ts': `export const x = ${code}\n` })).toEqual([])
    expect(messages({ 'packages/streams/src/lib/fine.test.ts': `export const x = ${code}\n` })).toEqual([])
  })

  test.each([
    'new Date(5)',
    'clock.setTimeout(f)',
    '// Date.now()',
    "'Date.now()'",
    '`${1}Date.now()`',
    'setImmediate(f)',
    'queueMicrotask(f)',
    '/Date.now/',
  ])('%s is none', (code) => {
    expect(messages({ 'packages/streams/src/lib/fine.ts': `export const x = [${code}\n]\n` })).toEqual([])
  })
})

test('directories are made by core, not by what may never end', () => {
  const made = (code: string): unknown => messages({ 'packages/streams/src/lib/some.ts': code })
  expect(made('mkdirSync(directory, { recursive: true })')).toHaveLength(1)
  expect(made("await mkdir(join(a, 'b'), { recursive: true })")).toHaveLength(1)
  expect(made('mkdirSync(directory)')).toEqual([])
  expect(made('rmSync(directory, { recursive: true })')).toEqual([])
})

test('an AsyncLocalStorage is made by the app only', () => {
  const code = 'export const storage = new AsyncLocalStorage<number>()'
  expect(messages({ 'packages/streams/src/lib/breach.ts': code })).toHaveLength(1)
  expect(messages({ 'packages/app/src/lib/fine.ts': code })).toEqual([])
  expect(messages({ 'packages/sensor-otel/src/lib/event-contexts.ts': code })).toEqual([])
  expect(messages({ 'packages/streams/src/lib/fine.ts': 'export type Storage = AsyncLocalStorage<number>' })).toEqual(
    [],
  )
})
