import { isMillraceError } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { globalOptions } from './common-options.ts'
import { option, positional, type CommandGrammar, type Grammar } from './grammar.ts'
import { readArguments, type ReadArguments } from './read-arguments.ts'
import { settingOptions } from './setting-options.ts'
import { helpText, parseWords } from './yargs-engine.ts'

const produce: CommandGrammar = {
  name: 'produce',
  describe: 'Produce withdrawals',
  options: [
    option('max-latency', { key: 'maxLatency', type: 'number', default: 0.5, describe: 'Most seconds between two' }),
    option('max-messages', { key: 'maxMessages', type: 'number', describe: 'How many' }),
    option('dry', { type: 'boolean', aliases: ['d'], describe: 'Send nothing' }),
    option('tag', { type: 'list', describe: 'May be given again' }),
    option('broker', { type: 'string', describe: 'Hides the setting of this name' }),
  ],
  positionals: [
    positional('user', { describe: 'Who' }),
    positional('count', { type: 'number', required: false, default: 1, describe: 'How often' }),
  ],
  showsSettings: false,
  examples: ['produce u1 --dry'],
}

const worker: CommandGrammar = {
  name: 'worker',
  describe: 'Run a worker',
  options: [],
  positionals: [],
  showsSettings: true,
}

const grammar: Grammar = {
  program: 'millrace',
  globals: globalOptions({ takesApp: true }),
  settings: settingOptions(),
  commands: [worker, produce],
}

async function read(...words: readonly string[]): Promise<ReadArguments> {
  return readArguments(grammar, await parseWords(grammar, words))
}

async function detailOf(...words: readonly string[]): Promise<string> {
  try {
    await read(...words)
  } catch (error) {
    if (isMillraceError(error, 'COMMAND_USAGE')) return error.detail
    throw error
  }
  throw new Error(`${words.join(' ')} was taken`)
}

describe('values', () => {
  test('are typed by their declarations, with defaults', async () => {
    const { command, values } = await read('produce', 'u1')
    expect(command.name).toBe('produce')
    expect(values).toEqual({
      maxLatency: 0.5,
      maxMessages: undefined,
      dry: undefined,
      tag: [],
      broker: undefined,
      user: 'u1',
      count: 1,
    })
  })

  test('come in any order, with = or without, before the command too', async () => {
    const { values, globals } = await read(
      '-A',
      './app.ts',
      '--json',
      'produce',
      '--max-latency=2',
      'u1',
      '-d',
      '3',
      '--max-messages',
      '7',
    )
    expect(values).toMatchObject({ maxLatency: 2, maxMessages: 7, user: 'u1', dry: true, count: 3 })
    expect(globals).toMatchObject({ app: './app.ts', json: true })
  })

  test('keep their text: leading zeros, empty text, dashes after --, negative numbers', async () => {
    expect((await read('produce', '007')).values['user']).toBe('007')
    expect((await read('produce', '')).values['user']).toBe('')
    expect((await read('produce', '--', '--weird')).values['user']).toBe('--weird')
    expect((await read('produce', 'u', '-5')).values['count']).toBe(-5)
  })

  test('letters share a dash, and the last one takes the next word as its value', async () => {
    for (const words of [
      ['-qp', '0'],
      ['-q', '-p', '0'],
      ['-p', '0', '-q'],
    ]) {
      const { command, globals, settings } = await read(...words, 'worker')
      expect([command.name, globals['quiet'], settings['web.port']]).toEqual(['worker', true, '0'])
    }
  })

  test('a switch takes true or false from the next word', async () => {
    expect((await read('--json', 'false', 'produce', '--dry', 'false', 'u1')).values).toMatchObject({
      dry: false,
      user: 'u1',
    })
    expect((await read('--json', 'produce', '--dry', 'maybe')).values).toMatchObject({ dry: true, user: 'maybe' })
  })

  test('the command may stand behind the end of the options', async () => {
    expect((await read('--json', '--', 'produce', 'u1')).values).toMatchObject({ user: 'u1' })
  })

  test('may be given several times where they are a list', async () => {
    expect((await read('produce', 'u1', '--tag', 'a', '--tag', 'b')).values['tag']).toEqual(['a', 'b'])
  })

  test('an option of the command hides the setting of its name', async () => {
    const { values, settings } = await read('produce', 'u1', '--broker', 'mine')
    expect(values['broker']).toBe('mine')
    expect(settings).toEqual({})
  })
})

describe('settings', () => {
  test('stay text, under the names of the settings', async () => {
    const { settings } = await read(
      'worker',
      '-p',
      '0',
      '--commit-interval',
      '250ms',
      '--no-web',
      '--datadir',
      './here',
    )
    expect(settings).toEqual({
      'web.port': '0',
      commitInterval: '250ms',
      'web.enabled': 'false',
      dataDirectory: './here',
    })
  })

  test('those not given are left to the app', async () => {
    expect((await read('worker')).settings).toEqual({})
  })
})

describe('mistakes name what was meant', () => {
  test.each([
    [['wroker'], 'There is no command "wroker". Did you mean worker?'],
    [['produce', 'u1', '--max-mesages', '5'], 'produce has no option --max-mesages. Did you mean --max-messages?'],
    [['worker', '--comit-interval', '1s'], 'worker has no option --comit-interval. Did you mean --commit-interval?'],
    [['worker', '-x'], 'worker has no option -x.'],
    [['worker', '--no-such-option'], 'worker has no option --no-such-option.'],
    [['worker', '--no-wbe'], 'worker has no option --no-wbe. Did you mean --no-web?'],
    [['worker', '--no-broker'], 'worker has no option --no-broker. Did you mean --broker?'],
    [['produce'], 'produce needs <user>.'],
    [['produce', 'u1', '2', '3'], 'produce does not take the argument "3".'],
    [['produce', 'u1', 'many'], '<count> takes a number, not "many".'],
    [['produce', 'u1', '--max-latency', 'soon'], '--max-latency takes a number, not "soon".'],
    [['produce', 'u1', '--max-latency', ''], '--max-latency takes a number, not "".'],
    [
      ['worker', '--loglevel', 'inof'],
      '--log-level takes one of debug, info, warn, error, silent, not "inof". Did you mean info?',
    ],
    [['worker', '--web-port', '1', '-p', '2'], '--web-port was given more than once.'],
    [['--json'], 'No command was given.'],
  ])('%j', async (words, detail) => {
    expect(await detailOf(...words)).toBe(detail)
  })

  test('a value left out', async () => {
    expect(await detailOf('worker', '--commit-interval')).toContain('commit-interval')
  })
})

test('any text is a value as it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      expect((await read('produce', '--broker', 'x', '--', text)).values['user']).toBe(text)
      expect((await read('produce', 'u', `--broker=${text}`)).values['broker']).toBe(text)
    }),
    { numRuns: 40 },
  )
})

describe('help', () => {
  test('lists the commands with their arguments', async () => {
    const text = await helpText(grammar, ['--help'], 100)
    expect(text).toContain('millrace produce <user> [count]')
    expect(text).toContain('Produce withdrawals')
    expect(text).not.toContain('--commit-interval')
  })

  test('of a command shows its options with defaults, once', async () => {
    const text = await helpText(grammar, ['produce', '--help'], 100)
    expect(text.match(/--max-latency/g)).toHaveLength(1)
    expect(text).toMatch(/--max-latency.*\[default: 0.5\]/)
  })

  test('of worker shows the settings with their defaults', async () => {
    const text = await helpText(grammar, ['worker', '-h'], 100)
    expect(text).toMatch(/-p, --web-port[^[]*\[number\] \[default: 6066\]/)
    expect(text).toMatch(/--commit-interval[^[]*\[duration\]\s*\[default: '1s'/)
    expect(text).toMatch(/--max-record-bytes[^[]*\[size\]\s*\[default: '1mb'\]/)
  })

  test('of worker groups the settings under headings, those that most people need first', async () => {
    const text = await helpText(grammar, ['worker', '-h'], 100)
    const headings = text.split('\n').filter((line) => /^\S.*:$/.test(line))
    expect(headings.slice(0, 3)).toEqual(['Common settings:', 'Web:', 'Agents:'])
    const under = (heading: string): string => text.slice(text.indexOf(`${heading}:`)).split('\n\n')[0] ?? ''
    expect(under('Common settings')).toContain('--broker')
    expect(under('Web')).toContain('--web-port')
    expect(under('Tables')).toContain('--standbys')
    expect(under('Kafka connections')).toContain('--kafka-compression')
  })

  test('gives examples', async () => {
    const all = await helpText(grammar, ['--help'], 100)
    expect(all).toContain("millrace send posts 'hello world'")
    const text = await helpText(grammar, ['produce', '--help'], 100)
    expect(text).toContain('millrace produce u1 --dry')
  })
})
