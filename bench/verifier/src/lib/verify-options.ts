import { parseArgs } from 'node:util'
import { FAULTS } from '@millrace/testing'
import { DEFECTS } from '../defects/defects.ts'
import type { ChaosFault } from './chaos-plan.ts'
import type { Guarantee } from './verifier-run.ts'

export interface VerifyOptions extends Readonly<Record<ChaosFault, number>> {
  readonly seed: number
  readonly minutes: number
  readonly records: number
  readonly workers: number
  readonly guarantee: Guarantee
  /** `kafka` and `embedded` are started for the run. */
  readonly broker: string
  readonly store: 'memory' | 'lmdb'
  readonly sessionMs: number
  readonly commitMs: number
  readonly defect: string | undefined
}

export const USAGE = `pnpm verify [options]
  --seed N          of records, failures and chaos; default 1
  --minutes M       over which records are sent and workers are hit; default 3
  --records R       default 100000
  --workers N       default 3
  --kills K         ${FAULTS.kills}; default 15
  --stops N         ${FAULTS.stops}; default a third of the kills
  --freezes N       ${FAULTS.freezes}; default a third of the kills
  --guarantee G     at-least-once (default) or exactly-once
  --broker B        kafka (default) or embedded, started for the run; kafka://host:port
  --store S         memory (default) or lmdb
  --session MS      session time-out; default 3000
  --commit MS       commit interval; default 200
  --break DEFECT    breaks the workers on purpose:
${DEFECTS.map(({ name, describe, guarantees }) => `                      ${name.padEnd(24)}${describe} (${guarantees.join(', ')})`).join('\n')}
  --prove           breaks them in each of these ways in turn and fails unless each is found
  --json FILE       where the result goes; default bench/verifier/results/…`

const text = { type: 'string' } as const

/** Throws with a sentence on what is wrong. */
export function readOptions(args: readonly string[]): {
  readonly options: VerifyOptions
  readonly json: string | undefined
  readonly prove: boolean
} {
  const { values } = parseArgs({
    args: args.filter((word) => word !== '--'),
    options: {
      seed: text,
      minutes: text,
      records: text,
      workers: text,
      kills: text,
      stops: text,
      freezes: text,
      guarantee: text,
      broker: text,
      store: text,
      session: text,
      commit: text,
      break: text,
      json: text,
      prove: { type: 'boolean' },
    },
  })
  const number = (name: keyof typeof values, fallback: number): number => {
    const value = Number(values[name] ?? fallback)
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${String(values[name])}.`)
    return value
  }
  const { guarantee = 'at-least-once', store = 'memory', broker = 'kafka' } = values
  if (guarantee !== 'at-least-once' && guarantee !== 'exactly-once')
    throw new Error(`--guarantee takes at-least-once or exactly-once, not ${guarantee}.`)
  if (store !== 'memory' && store !== 'lmdb') throw new Error(`--store takes memory or lmdb, not ${store}.`)
  const kills = number('kills', 15)
  return {
    options: {
      seed: number('seed', 1),
      minutes: number('minutes', 3),
      records: Math.max(1, number('records', 100_000)),
      workers: Math.max(1, number('workers', 3)),
      kills,
      stops: number('stops', Math.ceil(kills / 3)),
      freezes: number('freezes', Math.ceil(kills / 3)),
      guarantee,
      broker,
      store,
      sessionMs: number('session', 3000),
      commitMs: number('commit', 200),
      defect: values.break,
    },
    json: values.json,
    prove: values.prove === true,
  }
}

/** The command that repeats a run. */
export function repeatCommand(options: VerifyOptions): string {
  const {
    seed,
    minutes,
    records,
    workers,
    kills,
    stops,
    freezes,
    guarantee,
    broker,
    store,
    sessionMs,
    commitMs,
    defect,
  } = options
  const base = `pnpm verify --seed ${seed} --minutes ${minutes} --records ${records} --workers ${workers} --kills ${kills} --stops ${stops} --freezes ${freezes}`
  return `${base} --guarantee ${guarantee} --broker ${broker} --store ${store} --session ${sessionMs} --commit ${commitMs}${defect === undefined ? '' : ` --break ${defect}`}`
}
