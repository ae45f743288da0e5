import { PassThrough } from 'node:stream'
import { commandLine } from '@millrace/core/operations'
import { describe, expect, test } from 'vitest'
import { fakeApp } from '../fixtures/fake-app.ts'
import { runHere } from '../fixtures/run-here.ts'

/** A person at a terminal who types one line. */
function answering(line: string): PassThrough & { readonly isTTY: true } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true as const })
  stdin.end(`${line}\n`)
  return stdin
}

describe('reset', () => {
  test('--dry-run lists what will happen, and nothing happens', async () => {
    const { code, stdout, stderr } = await runHere(['reset', '--dry-run', '--json'])
    expect(JSON.parse(stdout)).toEqual([
      { name: 'fake', kind: 'committed offsets', action: 'delete', records: null, offsets: [] },
      { name: 'posts', kind: 'input', action: 'rewind', records: 7, offsets: [] },
      { name: 'fake-word_counts-changelog', kind: 'changelog', action: 'delete', records: 3, offsets: [] },
    ])
    expect(code).toBe(0)
    expect(stderr).not.toContain('"reset"')
    const shown = (await runHere(['reset', '--dry-run'])).stdout
    expect(shown).toMatch(/^posts +input +read again from the beginning +7$/m)
    expect(shown).toMatch(/^fake-word_counts-changelog +changelog +deleted +3$/m)
  })

  test('--yes does it without a question', async () => {
    const { code, stdout, stderr } = await runHere(['reset', '--yes'])
    expect([code, stdout]).toEqual([
      0,
      'The app "fake" begins anew: committed offsets and 1 topic deleted; 1 topic to be read again.\n',
    ])
    expect(stderr).toContain('fake-word_counts-changelog')
  })

  test('tells the app where to begin and what is what', async () => {
    const words = ['--input', '@count-words', '--intermediate', 'a', '--intermediate', 'b', '--dead-letters']
    const { stderr } = await runHere(['reset', '--dry-run', '--to', '2026-03-01T08:00Z', ...words])
    expect(stderr).toContain(
      '"to":{"timestampMs":1772352000000},"inputs":["@count-words"],"intermediates":["a","b"],"deadLetters":true',
    )
    expect(await runHere(['reset', '--to', 'yesterday'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--to takes beginning, end'),
    })
  })

  test('what is to be known is said, also beside JSON', async () => {
    const app = fakeApp({ plan: { warnings: ['Dead letters stay.'] } })[commandLine]
    expect((await runHere(['reset', '--dry-run'], { app })).stdout).toContain('Note: Dead letters stay.')
    expect((await runHere(['reset', '--yes'], { app })).stdout).toContain('Note: Dead letters stay.')
    const { stdout, stderr } = await runHere(['reset', '--dry-run', '--json'], { app })
    expect(stderr).toContain('Note: Dead letters stay.')
    expect(JSON.parse(stdout)).toHaveLength(3)
  })

  test.each([
    ['y', 0, 'begins anew'],
    ['YES', 0, 'begins anew'],
    ['', 1, 'Nothing was changed'],
    ['yesterday', 1, 'Nothing was changed'],
  ])('asked, and answered "%s"', async (line, exitCode, said) => {
    const { code, stdout, stderr } = await runHere(['reset'], { stdin: answering(line) })
    expect(code).toBe(exitCode)
    expect(stdout).toContain(said)
    expect(stderr).toContain('Reset the app "fake" like this? [y/N] ')
    expect(stderr.includes('"reset"')).toBe(exitCode === 0)
  })

  test('where nobody can be asked nothing happens', async () => {
    const { code, stderr } = await runHere(['reset'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--yes')])
    expect(stderr).not.toContain('"reset"')
  })

  test('refuses while workers run, and says who', async () => {
    const app = fakeApp({ members: [{ id: 'worker-7', instanceId: undefined, host: '10.0.0.7' }] })[commandLine]
    const { code, stderr } = await runHere(['reset', '--yes'], { app })
    expect(code).toBe(1)
    expect(stderr).toContain('GROUP_NOT_EMPTY')
    expect(stderr).toContain('worker-7 (10.0.0.7)')
    expect(stderr).not.toContain('"reset"')
  })
})
