import { expect, test } from 'vitest'
import { availableCores } from './available-cores.ts'

function limits(files: Readonly<Record<string, string>>): number {
  return availableCores((path) => files[path], 8)
}

test.each([
  ['no limit known', {}, 8],
  ['cgroup 2 without a limit', { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, 8],
  ['two cores', { '/sys/fs/cgroup/cpu.max': '200000 100000\n' }, 2],
  ['less than one core is one process all the same', { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
  ['two and a half cores keep two processes busy', { '/sys/fs/cgroup/cpu.max': '250000 100000\n' }, 2],
  ['more than the machine has', { '/sys/fs/cgroup/cpu.max': '1600000 100000\n' }, 8],
  [
    'cgroup 1',
    { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    3,
  ],
  [
    'cgroup 1 without a limit',
    { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    8,
  ],
])('%s', (_case, files, expected) => {
  expect(limits(files)).toBe(expected)
})

test('of this machine, at least one', () => {
  expect(availableCores()).toBeGreaterThanOrEqual(1)
})
