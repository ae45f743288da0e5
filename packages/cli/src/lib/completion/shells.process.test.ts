import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openShell, shellMissing, type TypedShell } from '../../fixtures/typed-shell.ts'

/** Each shell with a way to load the script. The first way of each shell is tested in full. */
const SHELLS = [
  { name: 'bash', setUp: ['eval "$(millrace completion bash)"'], tried: 'all' },
  {
    name: 'zsh',
    setUp: ['autoload -Uz compinit', 'compinit -u -D', 'eval "$(millrace completion zsh)"'],
    tried: 'all',
  },
  {
    name: 'zsh',
    setUp: [
      // As system packages install it.
      'mkdir $HOME/functions; millrace completion zsh > $HOME/functions/_millrace',
      'fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -u -D',
    ],
    tried: 'first',
  },
] as const

const OFFERS: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['millrace ta', ['tables', 'table', 'tail']],
  ['millrace -A two-apps.mjs:first send @', ['@count-words', '@shuffle-words']],
  ['millrace -A app.mjs table ', ['word_counts']],
  ['millrace -A app.mjs worker --commit-int', ['--commit-interval']],
  ['millrace -A nowhere.mjs cle', ['clean-versions']],
  ['true; millrace -A "app.mjs" lag ', ['count-words', 'shuffle-words']],
]

const COMPLETIONS: readonly (readonly [line: string, completed: string])[] = [
  ['millrace compl', 'millrace completion '],
  ['millrace -A app.mjs send @c', 'millrace -A app.mjs send @count-words '],
  // One word fits, and only its @ was typed.
  ['millrace -A app.mjs send --key a:b @s', 'millrace -A app.mjs send --key a:b @shuffle-words '],
  ['millrace -A two-apps.mjs:first table w', 'millrace -A two-apps.mjs:first table word_counts '],
  ['millrace -A app.mjs send --key "a b" po', 'millrace -A app.mjs send --key "a b" posts '],
  // The shell completes files where the command offers nothing.
  ['millrace -A two-ap', 'millrace -A two-apps.mjs '],
  ['millrace -A ./below/thr', 'millrace -A ./below/three-apps.mjs '],
]

describe.each(SHELLS)('in a real $name', ({ name, setUp, tried }) => {
  const missing = shellMissing(name)
  const some = tried === 'all' ? Infinity : 1
  describe.skipIf(missing !== undefined)(missing ?? `at a terminal, after ${setUp.at(-1)}`, () => {
    let shell: TypedShell
    beforeAll(async () => {
      shell = await openShell(name, setUp)
    }, 60_000)
    afterAll(() => shell.close())

    test.each(OFFERS.slice(0, some))('%s offers what fits', async (line, offered) => {
      expect((await shell.complete(line)).offered.toSorted()).toEqual(offered.toSorted())
    })

    test.each(COMPLETIONS.slice(0, some))('%s becomes %j', async (line, completed) => {
      expect((await shell.complete(line)).line).toBe(completed)
    })
  })
})
