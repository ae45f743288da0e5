import { describe, expect, test } from 'vitest'
import { planted } from './planted.ts'
import { checkWords } from './words.ts'

const found = (path: string, text: string): readonly string[] =>
  checkWords(planted({ [path]: text })).map(({ file, line, message }) => `${file}:${line} ${message}`)

test('a sound workspace passes', () => {
  expect(checkWords(planted())).toEqual([])
})

describe('an old name or a home-made word is named with its place, and with what to write', () => {
  const engine = 'packages/core/src/lib/some.ts'

  test.each([
    [engine, 'export const outbox = []', `${engine}:1 outbox: say pending sends`],
    [engine, '\n// Records of one lane.', `${engine}:2 lane: say broker, as in brokerOf`],
    [engine, "const message = 'The key is in hand.'", `${engine}:1 in hand: say in flight`],
    [engine, 'const { figures } = stats', `${engine}:1 figures: say stats`],
    [engine, 'export function takeApart() {}', `${engine}:1 takeApart: say parse`],
    [
      'packages/core/src/lib/some.test.ts',
      '// KEY_IN_HAND',
      'packages/core/src/lib/some.test.ts:1 KEY_IN_HAND: say KEY_CONFLICT',
    ],
    ['docs/guide/some.md', 'Set `maxOutboxBytes`.', 'docs/guide/some.md:1 maxOutboxBytes: say maxPendingSendBytes'],
    [
      'apps/demo/alerts.yaml',
      'expr: millrace_outbox_bytes > 1',
      'apps/demo/alerts.yaml:1 millrace_outbox_bytes: say pending sends',
    ],
    [
      'apps/demo/board.json',
      '{"expr": "longest_in_hand_seconds"}',
      'apps/demo/board.json:1 longest_in_hand_seconds: say longestInFlightMs',
    ],
  ])('in %s: %s', (path, text, problem) => {
    expect(found(path, text)).toContain(problem)
  })

  test.each([
    [engine, '// The answer is cut short, and looks whole; it has moving parts and figures in it.'],
    ['packages/cli/src/some.ts', 'export const figures = 1'],
    ['packages/core/src/lib/some.test.ts', 'const cut = 1'],
    [engine, "// A bare line feed, in './input-feed.ts'."],
    [engine, '// Hop-by-hop headers, as HTTP calls them.'],
    ['decisions/001-the-outbox.md', 'The outbox.'],
    ['packages/worker/src/lib/group/own-data.ts', 'const { suspects } = fields'],
  ])('but not in %s: %s', (path, text) => {
    expect(found(path, text)).toEqual([])
  })
})
