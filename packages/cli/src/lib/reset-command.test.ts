import { PassThrough } from 'node:stream'
import { commandLine } from '@millrace/core'
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
  test('--dry-run lists and deletes nothing', async () => {
    const { code, stdout, stderr } = await runHere(['reset', '--dry-run', '--json'])
    expect(JSON.parse(stdout)).toEqual([
      { name: 'fake', kind: 'committed offsets' },
      { name: 'fake-word_counts-changelog', kind: 'topic' },
    ])
    expect([code, stderr]).toEqual([0, ''])
  })

  test('--yes deletes without a question', async () => {
    const { code, stdout, stderr } = await runHere(['reset', '--yes'])
    expect([code, stdout]).toEqual([0, 'The app "fake" begins anew: committed offsets and 1 topic deleted.\n'])
    expect(stderr).toContain('fake-word_counts-changelog')
  })

  test.each([
    ['y', 0, 'begins anew'],
    ['YES', 0, 'begins anew'],
    ['', 1, 'Nothing was deleted'],
    ['yesterday', 1, 'Nothing was deleted'],
  ])('asked, and answered "%s"', async (line, exitCode, said) => {
    const { code, stdout, stderr } = await runHere(['reset'], { stdin: answering(line) })
    expect(code).toBe(exitCode)
    expect(stdout).toContain(said)
    expect(stderr).toContain('Delete these 2 of the app "fake"? [y/N] ')
    expect(stderr.includes('"reset"')).toBe(exitCode === 0)
  })

  test('where nobody can be asked it deletes nothing', async () => {
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
