import { checkOptions } from '@millrace/core'
import type { FaultName } from './fault-names.ts'
import type { SimulationFaults } from './simulation-options.ts'

const DEFAULTS: Required<SimulationFaults> = Object.freeze({
  kills: 3,
  stops: 2,
  rebalances: 2,
  silences: 1,
  freezes: 1,
  lostAnswers: 0.03,
  slow: 0.03,
  slowMs: 800,
  commitErrors: 0.03,
  stalls: 1,
  deafStops: 1,
  cuts: 1,
  delays: 1,
  deploys: 1,
  intruders: 1,
  blocks: 1,
  statics: 0.3,
  lags: 0,
  evictions: 0,
  topicChanges: 0,
})

const NONE: Required<SimulationFaults> = Object.freeze({
  kills: 0,
  stops: 0,
  rebalances: 0,
  silences: 0,
  freezes: 0,
  lostAnswers: 0,
  slow: 0,
  slowMs: 0,
  commitErrors: 0,
  stalls: 0,
  deafStops: 0,
  cuts: 0,
  delays: 0,
  deploys: 0,
  intruders: 0,
  blocks: 0,
  statics: 0,
  lags: 0,
  evictions: 0,
  topicChanges: 0,
})

/**
 * Faults with every number filled in.
 *
 * @throws `DEFINITION_INVALID` for a fault that there is not
 */
export function settledFaults(faults: SimulationFaults | 'none' | undefined): Required<SimulationFaults> {
  if (faults === 'none') return NONE
  if (faults !== undefined) checkOptions('the faults of a simulation', faults, DEFAULTS)
  return { ...DEFAULTS, ...faults }
}

/** The others befall a share of the requests. */
export type PlannedFault = Exclude<keyof SimulationFaults & FaultName, 'lostAnswers' | 'commitErrors' | 'slow'>

/** Faults that are planned one by one. */
export const PLANNED_FAULTS: readonly PlannedFault[] = Object.freeze([
  'kills',
  'stops',
  'rebalances',
  'silences',
  'freezes',
  'stalls',
  'deafStops',
  'cuts',
  'delays',
  'deploys',
  'intruders',
  'blocks',
  'lags',
  'evictions',
  'topicChanges',
])

/** After these an event may be handled twice under at-least-once. Clean stops, rebalances and lost answers are not among them. */
export const DOUBLING_FAULTS: readonly FaultName[] = Object.freeze([
  'kills',
  'silences',
  'freezes',
  'stalls',
  'deafStops',
  'blocks',
  'evictions',
])
