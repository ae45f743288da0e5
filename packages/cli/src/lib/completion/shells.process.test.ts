import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openShell, shellMissing, type TypedShell } from '../../fixtures/typed-shell.ts'

const SHELLS = [
  ['bash', ['eval "$(millrace completion bash)"']],
  ['zsh', ['autoload -Uz compinit', 'compinit -u -D', 'eval "$(millrace completion zsh)"']],
  [
    'zsh',
    [
      // As packages of a system install it.
      'mkdir $HOME/functions; millrace completion zsh > $HOME/functions/_millrace',
      'fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -u -D',
    ],
  ],
] as const

describe.each(SHELLS)('in a real %s', (name, setUp) => {
  const missing = shellMissing(name)
  describe.skipIf(missing !== undefined)(missing ?? 'at a terminal', () => {
    let shell: TypedShell
    beforeAll(async () => {
      shell = await openShell(name, setUp)
    }, 60_000)
    afterAll(() => shell.close())

    test.each([
      ['millrace ta', ['tables', 'table', 'tail']],
      ['millrace -A two-apps.ts:first send @', ['@count-words', '@shuffle-words']],
      ['millrace -A app.ts table ', ['word_counts']],
      ['millrace -A app.ts worker --commit-int', ['--commit-interval']],
      ['millrace -A nowhere.ts cle', ['clean-versions']],
      ['true; millrace -A "app.ts" lag ', ['count-words', 'shuffle-words']],
    ])('%s offers what fits', async (line, offered) => {
      expect((await shell.complete(line)).offered.toSorted()).toEqual(offered.toSorted())
    })

    test.each([
      ['millrace compl', 'millrace completion '],
      ['millrace -A app.ts send @c', 'millrace -A app.ts send @count-words '],
      // One word fits, and none of it is typed but the @.
      ['millrace -A app.ts send --key a:b @s', 'millrace -A app.ts send --key a:b @shuffle-words '],
      ['millrace -A two-apps.ts:first table w', 'millrace -A two-apps.ts:first table word_counts '],
      ['millrace -A app.ts send --key "a b" po', 'millrace -A app.ts send --key "a b" posts '],
      // Where the command has nothing to say, files.
      ['millrace -A two-ap', 'millrace -A two-apps.ts '],
      ['millrace -A ./broken/thr', 'millrace -A ./broken/throws.ts '],
    ])('%s becomes %j', async (line, completed) => {
      expect((await shell.complete(line)).line).toBe(completed)
    })
  })
})
