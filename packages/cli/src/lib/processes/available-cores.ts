import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Where Linux says how much processor time a container may use. */
const CGROUP = '/sys/fs/cgroup'

/** Reads a file; `undefined` if there is none. */
export type ReadText = (path: string) => string | undefined

/**
 * The processor cores that this process may use, at least 1: those of its affinity, and no more than the limit of its
 * container, which Node 20 does not look at.
 */
export function availableCores(read: ReadText = readText, cores: number = availableParallelism()): number {
  const limit = unified(read(`${CGROUP}/cpu.max`)) ?? legacy(read)
  return limit === undefined ? cores : Math.max(1, Math.min(cores, Math.floor(limit)))
}

/** Of cgroup version 2: `150000 100000` is one and a half cores, and `max 100000` no limit. */
function unified(text: string | undefined): number | undefined {
  const [, quota, period] = /^(\d+) (\d+)/.exec(text ?? '') ?? []
  return quota === undefined ? undefined : Number(quota) / Number(period)
}

/** Of cgroup version 1, where -1 is no limit. */
function legacy(read: ReadText): number | undefined {
  const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => Number(read(`${CGROUP}/cpu/${name}`)))
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not on Linux, or another version of cgroups.
    return undefined
  }
}
