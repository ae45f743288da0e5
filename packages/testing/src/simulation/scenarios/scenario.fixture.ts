import type { App, Topic } from '@millrace/app'
import type { StateDefinition } from '@millrace/worker'
import { partitionForKey } from '@millrace/core/driver'
import type { ReadableTopic } from '../../lib/sent-records.ts'
import type { SimulatedRun, SimulatedWorld } from '../simulation-options.ts'

export interface Entry {
  readonly key: string
  readonly number: number
}

/** An entry that was sent in. */
export interface SentEntry extends Entry {
  /** Deleted from the topic by a fault, perhaps before an agent had read it. */
  readonly cut: boolean
}

export interface ScenarioSetting {
  readonly app: App
  readonly world: SimulatedWorld
  /** What is sent in. */
  readonly entries: Topic<string, Entry>
  /** Where `counting` sends each entry. */
  readonly copies: Topic<string, Entry>
  /** What handlers remember in all releases of the run, as a service outside the app would. */
  readonly remembered: Set<string>
  /** Plants a defect in a view, where a test asks for that. */
  readonly plant: (view: TimedView) => void
}

/** A state with event time, whose opening a planted defect may change. */
export type TimedView = Pick<StateDefinition, 'openState'>

/** How a run has ended, for the checks of scenarios. */
export interface ScenarioOutcome {
  readonly run: SimulatedRun
  /** In the order of each key. */
  readonly input: readonly SentEntry[]
}

/** A part of the app under simulation: declares its agents, and says what must have come of them. */
export type Scenario = (setting: ScenarioSetting) => (outcome: ScenarioOutcome) => void

/** Partitions of every topic, as `SimulationOptions.partitions` has it by default. */
export const PARTITIONS = 4
export const KEYS: readonly string[] = Object.freeze(Array.from({ length: 7 }, (_, nth) => `key-${nth}`))

export const idOf = ({ key, number }: Entry): string => `${key}/${number}`

/** Another key of the same partition, so that events of different keys meet in one row; the key itself where it is alone. */
export function neighbourOf(key: string): string {
  const partitionOf = (one: string): number => partitionForKey(Buffer.from(one), PARTITIONS)
  const together = KEYS.filter((one) => partitionOf(one) === partitionOf(key))
  return together[(together.indexOf(key) + 1) % together.length] ?? key
}

/** Every entry must be in the topic, once unless events may be handled twice, and nothing else. */
export function checkSent(
  topic: ReadableTopic<string, Entry>,
  {
    run,
    expected,
    mayDouble = run.mayDouble,
  }: { run: SimulatedRun; expected: readonly SentEntry[]; mayDouble?: boolean },
): void {
  const seen = new Map<string, number>()
  for (const { value } of run.sent(topic)) {
    const id = value === null ? 'a tombstone' : idOf(value)
    seen.set(id, (seen.get(id) ?? 0) + 1)
  }
  for (const entry of expected) {
    const id = idOf(entry)
    const times = seen.get(id) ?? 0
    if (times === 0 && !entry.cut) throw new Error(`${topic.name} has lost ${id}.`)
    if (times > 1 && !mayDouble) throw new Error(`${topic.name} has ${id} ${times} times.`)
    seen.delete(id)
  }
  if (seen.size > 0) throw new Error(`${topic.name} has what it should not have: ${[...seen.keys()].join(', ')}.`)
}

/** Records of one key must be in the order of their numbers, where nothing is handled twice. */
export function checkOrder(topic: ReadableTopic<string, Entry>, run: SimulatedRun): void {
  if (run.mayDouble) return
  const last = new Map<string, number>()
  for (const { value } of run.sent(topic)) {
    if (value === null) continue
    const before = last.get(value.key) ?? -1
    if (value.number <= before)
      throw new Error(`${topic.name} has ${value.key}/${value.number} after ${value.key}/${before}.`)
    last.set(value.key, value.number)
  }
}

/** Each id must have been counted as often as it is there, and never more unless events may be handled twice. */
export function checkCounts(
  table: string,
  {
    counted,
    ids,
    mayDouble,
  }: {
    readonly counted: (id: string) => number | undefined
    readonly ids: readonly { readonly id: string; readonly cut: boolean }[]
    readonly mayDouble: boolean
  },
): void {
  const expected = new Map<string, { least: number; most: number }>()
  for (const { id, cut } of ids) {
    const { least, most } = expected.get(id) ?? { least: 0, most: 0 }
    expected.set(id, { least: cut ? least : least + 1, most: most + 1 })
  }
  for (const [id, { least, most }] of expected) {
    const got = counted(id) ?? 0
    if (got >= least && (got <= most || mayDouble)) continue
    throw new Error(`${table} has ${got} for ${id}, not ${least === most ? most : `${least} to ${most}`}.`)
  }
}
