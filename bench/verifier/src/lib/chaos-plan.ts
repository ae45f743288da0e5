import type { FaultName } from '@millrace/testing'
import { seededRandom } from './random.ts'

/** What befalls workers of a run. */
export type ChaosFault = Extract<FaultName, 'kills' | 'stops' | 'freezes'>

/** `kill`: SIGKILL. `stop`: SIGTERM. `freeze` and `thaw`: SIGSTOP and SIGCONT. */
export type Deed = 'kill' | 'stop' | 'start' | 'freeze' | 'thaw'

export interface Step {
  /** Since the chaos began. */
  readonly atMs: number
  readonly deed: Deed
  /** Which worker. */
  readonly slot: number
}

export interface ChaosOptions extends Readonly<Record<ChaosFault, number>> {
  readonly seed: number
  readonly workers: number
  readonly durationMs: number
  readonly sessionMs: number
}

/** From its start until a worker is likely to have joined and recovered. */
const STARTUP_MS = 3000
const LONGEST_DOWN_MS = 4000
/** How often a deed follows the one before at once: into the rebalance that it has caused. */
const AT_ONCE = 0.2
const AT_ONCE_MS = 600
/** How often the last worker that is up may be hit as well. */
const ALL_DOWN = 0.1

/**
 * What is done to the workers, and when: the same for the same options. Every worker is up when it ends. All of them are
 * down at once now and then only; where that leaves too little time, the plan gets longer than asked.
 */
export function planChaos({
  seed,
  workers,
  durationMs,
  kills,
  stops,
  freezes,
  sessionMs,
}: ChaosOptions): readonly Step[] {
  const random = seededRandom(seed, 'chaos')
  const deeds: Deed[] = [
    ...Array.from({ length: kills }, () => 'kill' as const),
    ...Array.from({ length: stops }, () => 'stop' as const),
    ...Array.from({ length: freezes }, () => 'freeze' as const),
  ]
  for (let i = deeds.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    const [one, other] = [deeds[i], deeds[j]]
    if (one !== undefined && other !== undefined) [deeds[i], deeds[j]] = [other, one]
  }
  const upFrom = Array.from({ length: workers }, () => 0)
  const steps: Step[] = []
  const each = durationMs / Math.max(deeds.length, 1)
  let atMs = 0
  for (const [i, deed] of deeds.entries()) {
    const spreadMs = (i + random.next()) * each
    atMs = Math.max(
      atMs,
      random.next() < AT_ONCE && i > 0 ? Math.min(spreadMs, atMs + random.between(50, AT_ONCE_MS)) : spreadMs,
    )
    const least = workers > 1 && random.next() >= ALL_DOWN ? 2 : 1
    // The moment at which enough of them are up.
    atMs = Math.max(atMs, [...upFrom].sort((x, y) => x - y)[least - 1] ?? 0)
    const up = upFrom.flatMap((from, slot) => (from <= atMs ? [slot] : []))
    const slot = random.pick(up)
    const endMs = atMs + (deed === 'freeze' ? 2 * sessionMs : random.between(100, LONGEST_DOWN_MS))
    steps.push({ atMs, deed, slot }, { atMs: endMs, deed: deed === 'freeze' ? 'thaw' : 'start', slot })
    upFrom[slot] = endMs + (deed === 'freeze' ? sessionMs / 2 : STARTUP_MS)
  }
  return steps.sort((x, y) => x.atMs - y.atMs)
}
