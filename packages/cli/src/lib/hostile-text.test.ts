import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '@millrace/core'
import { commandLine, type CommandLineApp, type LocalData } from '@millrace/core/operations'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fakeApp, type FakeOptions } from '../fixtures/fake-app.ts'
import { HOSTILE, hostileApp } from '../fixtures/hostile-app.ts'
import { builtInCommands } from './commands/commands.ts'
import { runCli } from './run-cli.ts'

// All text from brokers, workers, files and errors must reach a terminal as plain text.

const directory = mkdtempSync(join(tmpdir(), 'millrace-hostile-'))
const transfer = { directory: '/data', records: 1, sha256: 'ab' }
const backup = { version: '1', appId: 'fake', madeAt: 0, files: [{ path: 'log', bytes: 1, sha256: 'ab' }] }
const data: LocalData = {
  exportLog: async () => transfer,
  importLog: async () => transfer,
  backup: async () => backup,
  restore: async () => backup,
}

let worker = { url: '', status: 200 }
const site = createServer((request, response) => {
  const lastRun = { startedAt: HOSTILE, durationMs: 1, result: HOSTILE }
  const place = { topic: HOSTILE, partition: 0, agent: HOSTILE }
  const heldBy = { ...place, reason: 'event', why: HOSTILE, since: HOSTILE, forMs: 90_000 }
  const watermark = { name: h('minutes'), kind: 'topic', task: HOSTILE, partition: 0, watermark: HOSTILE, heldBy }
  const live = {
    workers: {
      [HOSTILE]: { answers: true, stats: { watermarks: [watermark] } },
      [h('b')]: { answers: false, error: HOSTILE },
    },
  }
  const pages: Readonly<Record<string, unknown>> = {
    '/': { app: `fake${HOSTILE}`, worker: HOSTILE },
    '/jobs/': [{ name: h('tick'), state: HOSTILE, paused: true, lastRun, nextRun: HOSTILE }],
    '/live/?of=app': live,
  }
  const done = { result: `done${HOSTILE}`, error: `failed${HOSTILE}` }
  const body = request.method === 'GET' ? pages[request.url ?? ''] : done
  response.writeHead(request.method === 'GET' ? 200 : worker.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
})
beforeAll(async () => {
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  const address = site.address()
  if (typeof address !== 'object' || address === null) throw new Error('It listens.')
  worker = { ...worker, url: `http://127.0.0.1:${address.port}` }
})
afterAll(() => {
  site.close()
  rmSync(directory, { recursive: true })
})

const h = (name: string): string => name + HOSTILE

/** Words that make each command show all it can. */
const WORDS: Readonly<Record<string, () => readonly (readonly string[])[]>> = {
  worker: () => [],
  // Only starts processes that run `worker`.
  dev: () => [],
  send: () => [['send', h('posts'), HOSTILE, '--key', HOSTILE, '--header', `a=${HOSTILE}`]],
  tail: () => [['tail', h('posts'), '--limit', '2']],
  agents: () => [['agents']],
  tables: () => [['tables']],
  topology: () => [['topology'], ['topology', '--mermaid']],
  topics: () => [['topics']],
  table: () => [
    ['table', h('word_counts')],
    ['table', h('word_counts'), 'the'],
    ['table', h('word_counts'), h('none')],
    ['table', h('none')],
  ],
  models: () => [['models']],
  jobs: () => [
    ['jobs'],
    ['jobs', '--worker', worker.url],
    ['jobs', 'run', h('tick'), '--worker', worker.url],
    ['jobs', 'run', HOSTILE],
  ],
  pause: () => [
    ['pause', h('count-words'), '--why', HOSTILE, '--worker', worker.url],
    ['pause', HOSTILE],
  ],
  resume: () => [
    ['resume', h('count-words'), '--worker', worker.url],
    ['resume', HOSTILE],
  ],
  lag: () => [['lag'], ['lag', h('none')]],
  watermarks: () => [
    ['watermarks', '--worker', worker.url],
    ['watermarks', h('none'), '--worker', worker.url],
  ],
  dlq: () => [
    ['dlq', 'list'],
    ['dlq', 'show', h('count-words'), '3', '7'],
    ['dlq', 'show', h('count-words'), '0', '2'],
    ['dlq', 'show', h('count-words'), '9', '9'],
    ['dlq', 'replay', h('count-words'), '--all'],
    ['dlq', 'list', h('none')],
  ],
  reset: () => [
    ['reset', '--dry-run'],
    ['reset', '--yes'],
  ],
  schemas: () => [
    ['schemas', 'check'],
    ['schemas', 'register'],
    ['schemas', 'types'],
  ],
  retries: () => [['retries'], ['retries', h('count-words')], ['retries', h('none')]],
  skip: () => [
    ['skip', 'posts/0@10', '--dry-run'],
    ['skip', 'posts/0@10', '--yes'],
  ],
  embedded: () => [
    ['embedded', 'export', '-'],
    ['embedded', 'import', h('log')],
  ],
  backup: () => [['backup', h('there')]],
  restore: () => [['restore', h('there')]],
  'clean-versions': () => [['clean-versions']],
  completion: () => [['completion', 'bash']],
  doctor: () => [['doctor']],
}

const failure = Object.assign(
  new Error(h('it failed'), { cause: new MillraceError('BROKER_UNREACHABLE', h('down')) }),
  {
    name: h('OddError'),
    stack: `OddError: ${h('it failed')}\n    at f${HOSTILE} (/app/a.ts:1:2)`,
  },
)
const refusal = new MillraceError('ACTION_REFUSED', h('no'), { cause: failure })

function appOf(options: FakeOptions = {}): CommandLineApp {
  const plain = fakeApp({
    otherStores: [{ directory: '/data/old', format: 1 }],
    plan: { warnings: ['Look out.'], storeDirectory: '/data/store' },
    ...options,
  })[commandLine]
  return hostileApp(Object.assign(plain, { data }))
}

interface Mode {
  readonly colors: boolean
  readonly words: readonly string[]
}

const MODES: readonly Mode[] = [
  { colors: false, words: [] },
  { colors: true, words: [] },
  { colors: true, words: ['--json'] },
  { colors: true, words: ['--debug', '--log-level', 'debug'] },
]

async function outputOf(words: readonly string[], app: CommandLineApp, { colors, words: more }: Mode): Promise<string> {
  let text = ''
  const stream = { write: (piece: string) => void (text += piece), isTTY: colors }
  const terminal = { stdout: stream, stderr: stream, env: {} }
  await runCli([...words.slice(0, 1), ...more, ...words.slice(1)], { app, appFile: '/somewhere/app.ts', terminal })
  return text
}

/** Control characters in a text, except line feeds, tabs and the commands' own colors. */
function drawn(text: string, colors: boolean): readonly string[] {
  // oxlint-disable-next-line no-control-regex -- looking for control characters is the purpose
  const own = /\u001B\[(?:1|2|22|31|32|33|34|36|39)m/g
  // oxlint-disable-next-line no-control-regex -- as above
  const hostile = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069].{0,9}/g
  return [...(colors ? text.replaceAll(own, '') : text).matchAll(hostile)].map(([found]) => JSON.stringify(found))
}

test('there is a case for each command', () => {
  expect(Object.keys(WORDS).sort()).toEqual(builtInCommands.map(({ grammar }) => grammar.name).sort())
})

describe.each(Object.entries(WORDS))('%s', (name, wordsOf) => {
  test('shows hostile keys, values, headers, names and answers as text', async () => {
    for (const words of wordsOf())
      for (const mode of MODES)
        for (const status of name === 'jobs' ? [200, 500] : [200]) {
          worker.status = status
          const text = await outputOf(words, appOf(), mode)
          expect([words, mode, drawn(text, mode.colors)]).toEqual([words, mode, []])
          // Sentences for the error output may follow.
          const [list] = (mode.words[0] === '--json' && /^\[$.*?^\]$/ms.exec(text)) || []
          if (list !== undefined) expect(() => JSON.parse(list)).not.toThrow()
          if (name !== 'completion') expect([words, mode, text]).toEqual([words, mode, expect.stringContaining('evil')])
        }
  })

  test('shows hostile errors as text', async () => {
    const all = [...wordsOf(), ...(name === 'worker' ? [['worker']] : [])]
    for (const words of all)
      for (const mode of MODES)
        for (const error of [failure, refusal]) {
          const app = appOf({ clientError: error, startError: error })
          const text = await outputOf(words, app, mode)
          expect([words, mode, drawn(text, mode.colors)]).toEqual([words, mode, []])
        }
  })
})

test('members of the group, and an app’s own table and sentences', async () => {
  const members = [{ id: 'one', host: '/10.0.0.7', clientId: 'one', instanceId: undefined }]
  const own = {
    name: 'own',
    describe: 'An own command',
    ...{ options: {}, positionals: {}, daemon: false },
    run: (_: unknown, cli: { say(text: string): void; table(rows: readonly Record<string, unknown>[]): void }) => {
      cli.say(HOSTILE)
      cli.table([{ [HOSTILE]: HOSTILE }])
    },
  }
  for (const mode of MODES) {
    const refused = await outputOf(['reset', '--yes'], appOf({ members }), mode)
    expect(refused).toContain('evil')
    const plain = fakeApp({ commands: [own] })[commandLine]
    const text = await outputOf(['own'], plain, mode)
    for (const shown of [refused, text]) expect(drawn(shown, mode.colors)).toEqual([])
  }
})

test('log lines show it as text too, in a file and on a terminal', async () => {
  const file = join(directory, 'lines.log')
  await outputOf(['send', h('posts'), 'x', '--logfile', file], appOf(), { colors: false, words: [] })
  const text = readFileSync(file, 'utf8')
  expect(text).toContain('evil')
  expect(drawn(text, false)).toEqual([])
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).target),
  ).toContain(h('posts'))
})
