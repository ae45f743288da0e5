import { commandLine } from '@millrace/core/operations'
import { describe, expect, test } from 'vitest'
import { fakeApp } from '../fixtures/fake-app.ts'
import { runHere } from '../fixtures/run-here.ts'

describe('skip', () => {
  test('--yes says what is skipped and why, and does it', async () => {
    const { code, stdout, stderr } = await runHere(['skip', 'posts/3@12', '--yes'])
    expect([code, stdout]).toEqual([
      0,
      'Offsets 10 to 14 of posts/3 cannot be read (damaged), and would be skipped; the group then has 15 committed.\nThe group "fake" goes on behind it.\n',
    ])
    expect(stderr).toContain('"skipped"')
  })

  test('--dry-run changes nothing, also as JSON', async () => {
    const { code, stdout, stderr } = await runHere(['skip', 'posts/3@12', '--dry-run', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      topic: 'posts',
      partition: 3,
      from: 10,
      to: 15,
      reason: 'damaged',
      committed: 15,
    })
    expect(stderr).not.toContain('"skipped"')
  })

  test('where nobody can be asked nothing happens', async () => {
    const { code, stderr } = await runHere(['skip', 'posts/3@12'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--yes')])
    expect(stderr).not.toContain('"skipped"')
  })

  test.each(['posts', 'posts/3', 'posts/3@', 'posts@12', 'posts/x@1', 'posts/3@-1', 'posts/3@99999999999999999'])(
    '"%s" is no place',
    async (place) => {
      const { code, stderr } = await runHere(['skip', place, '--yes'])
      expect([code, stderr]).toEqual([2, expect.stringContaining('TOPIC/PARTITION@OFFSET')])
    },
  )

  test('refuses while workers run, and says who', async () => {
    const app = fakeApp({ members: [{ id: 'worker-7', instanceId: undefined, host: '10.0.0.7' }] })[commandLine]
    const { code, stderr } = await runHere(['skip', 'posts/3@12', '--yes'], { app })
    expect(code).toBe(1)
    expect(stderr).toContain('GROUP_NOT_EMPTY')
    expect(stderr).toContain('worker-7 (10.0.0.7)')
    expect(stderr).not.toContain('"skipped"')
  })
})
