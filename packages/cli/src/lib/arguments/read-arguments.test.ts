import { isMillraceError } from '@millrace/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { globalOptions } from './common-options.ts'
import { option, positional, type CommandGrammar, type Grammar } from './grammar.ts'
import { helpText } from './help-text.ts'
import { readArguments, type ReadArguments } from './read-arguments.ts'
import { settingOptions } from './setting-options.ts'
import { splitWords } from './split-words.ts'

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

function read(...words: readonly string[]): ReadArguments {
  return readArguments(grammar, splitWords(grammar, words))
}

function detailOf(...words: readonly string[]): string {
  try {
    read(...words)
  } catch (error) {
    if (isMillraceError(error, 'COMMAND_USAGE')) return error.detail
    throw error
  }
  throw new Error(`${words.join(' ')} was taken`)
}

describe('values', () => {
  test('are typed by their declarations, with defaults', () => {
    const { command, values } = read('produce', 'u1')
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

  test('come in any order, with = or without, before the command too', () => {
    const { values, globals } = read(
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

  test('keep their text: leading zeros, empty text, dashes after --, negative numbers', () => {
    expect(read('produce', '007').values['user']).toBe('007')
    expect(read('produce', '').values['user']).toBe('')
    expect(read('produce', '--', '--weird').values['user']).toBe('--weird')
    expect(read('produce', 'u', '-5').values['count']).toBe(-5)
  })

  test('letters share a dash, and the last one takes the rest as its value', () => {
    for (const words of [['-qp0'], ['-qp=0'], ['-qp', '0'], ['-q', '-p', '0']]) {
      const { globals, settings } = read(...words, 'worker')
      expect([globals['quiet'], settings['web.port']]).toEqual([true, '0'])
    }
  })

  test('a switch takes true or false from the next word', () => {
    expect(read('produce', '--dry', 'false', 'u1').values).toMatchObject({ dry: false, user: 'u1' })
    expect(read('produce', '--dry', 'maybe').values).toMatchObject({ dry: true, user: 'maybe' })
  })

  test('may be given several times where they are a list', () => {
    expect(read('produce', 'u1', '--tag', 'a', '--tag', 'b').values['tag']).toEqual(['a', 'b'])
  })

  test('an option of the command hides the setting of its name', () => {
    const { values, settings } = read('produce', 'u1', '--broker', 'mine')
    expect(values['broker']).toBe('mine')
    expect(settings).toEqual({})
  })
})

describe('settings', () => {
  test('stay text, under the names of the settings', () => {
    const { settings } = read('worker', '-p', '0', '--commit-interval', '250ms', '--no-web', '--datadir', './here')
    expect(settings).toEqual({
      'web.port': '0',
      commitInterval: '250ms',
      'web.enabled': 'false',
      dataDirectory: './here',
    })
  })

  test('those not given are left to the app', () => {
    expect(read('worker').settings).toEqual({})
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
    [['worker', '--json=maybe'], '--json takes true or false, not "maybe".'],
    [['worker', '--web=maybe'], '--web takes true or false, not "maybe".'],
    [['worker', '--commit-interval', '--json'], '--commit-interval needs a value.'],
    [['produce', 'u1', '--tag', '--dry'], '--tag needs a value.'],
  ])('%j', (words, detail) => {
    expect(detailOf(...words)).toBe(detail)
  })

  test('a value left out', () => {
    expect(detailOf('worker', '--commit-interval')).toBe('--commit-interval needs a value.')
  })
})

test('any text is a value as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(read('produce', '--broker', 'x', '--', text).values['user']).toBe(text)
      expect(read('produce', 'u', `--broker=${text}`).values['broker']).toBe(text)
    }),
    { numRuns: 40 },
  )
})

describe('help', () => {
  test('lists the commands with their arguments', () => {
    const text = helpText(grammar, ['--help'], 100)
    expect(text).toContain('millrace produce <user> [count]')
    expect(text).toContain('Produce withdrawals')
    expect(text).not.toContain('--commit-interval')
  })

  test('of a command shows its options with defaults, once', () => {
    const text = helpText(grammar, ['produce', '--help'], 100)
    expect(text.match(/--max-latency/g)).toHaveLength(1)
    expect(text).toMatch(/--max-latency.*\[default: 0.5\]/)
  })

  test('of worker shows the settings with their defaults', () => {
    const text = helpText(grammar, ['worker', '-h'], 100)
    expect(text).toMatch(/-p, --web-port[^[]*\[number\] \[default: 6066\]/)
    expect(text).toMatch(/--commit-interval[^[]*\[duration\]\s*\[default: '1s'/)
    expect(text).toMatch(/--max-record-bytes[^[]*\[size\]\s*\[default: '1mb'\]/)
  })

  test('of worker groups the settings under headings, those that most people need first', () => {
    const text = helpText(grammar, ['worker', '-h'], 100)
    const headings = text.split('\n').filter((line) => /^\S.*:$/.test(line))
    expect(headings.slice(0, 3)).toEqual(['Common settings:', 'Web:', 'Agents:'])
    const under = (heading: string): string => text.slice(text.indexOf(`${heading}:`)).split('\n\n')[0] ?? ''
    expect(under('Common settings')).toContain('--broker')
    expect(under('Web')).toContain('--web-port')
    expect(under('Tables')).toContain('--standbys')
    expect(under('Kafka connections')).toContain('--kafka-compression')
  })

  test('gives examples', () => {
    const all = helpText(grammar, ['--help'], 100)
    expect(all).toContain("millrace send posts 'hello world'")
    const text = helpText(grammar, ['produce', '--help'], 100)
    expect(text).toContain('millrace produce u1 --dry')
  })
})
