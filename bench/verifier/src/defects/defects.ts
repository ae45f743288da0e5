import type { Transport } from '@millrace/core/driver'
import type { Guarantee } from '../lib/verifier-run.ts'
import { commitPastUnfinished } from './commit-past-unfinished.ts'
import { failingCommits, reinitWithoutRecovery } from './failing-commits.ts'
import { leaseUnchecked } from './lease-unchecked.ts'
import { skippedRow } from './skipped-row.ts'

/** One line of the product as its workers load it, and what stands there instead. */
export interface SourceChange {
  /** Where the file is, from the root of the workspace. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly line: string
  readonly instead: string
}

/** What can be broken on purpose, to see that the verifier finds it. */
export interface Defect {
  readonly name: string
  readonly describe: string
  /** Under which it does harm. */
  readonly guarantees: readonly Guarantee[]
  /** The product has to survive it. */
  readonly harmless?: true
  /** What has to happen for it to do harm. */
  readonly needs?: { readonly kills?: number; readonly freezes?: number }
  /** Does harm on Kafka only. */
  readonly kafkaOnly?: true
  /** The driver, broken. */
  readonly wrap?: (transport: Transport, seed: number) => Transport
  /** What no driver can do. */
  readonly change?: SourceChange
}

const BOTH: readonly Guarantee[] = ['at-least-once', 'exactly-once']

export const DEFECTS: readonly Defect[] = [
  {
    name: 'commit-past-unfinished',
    describe: 'a commit past an unfinished event',
    guarantees: BOTH,
    wrap: commitPastUnfinished,
  },
  { name: 'skipped-row', describe: 'a skipped changelog row', guarantees: BOTH, wrap: skippedRow },
  {
    name: 'retry-without-rollback',
    describe: 'a retry without rollback',
    guarantees: BOTH,
    change: {
      file: 'packages/worker/src/lib/task/event-in-flight.ts',
      line: '    counters.retried++\n',
      instead: `    counters.retried++
    for (const effect of this.#effects ?? []) effect.apply()
    for (const record of this.#sends ?? []) this.cursor.task.output.add(record)
    this.#effects = undefined
    this.#sends = undefined
`,
    },
  },
  {
    name: 'reinit-without-recovery',
    describe: 'a re-initialised producer without recovery',
    guarantees: ['exactly-once'],
    wrap: reinitWithoutRecovery,
  },
  {
    name: 'lease-unchecked',
    describe: 'the lease not checked',
    // Exactly once does not rest on it: whoever opens a task shuts out its earlier producer.
    guarantees: ['at-least-once'],
    needs: { freezes: 8 },
    wrap: leaseUnchecked,
  },
  {
    name: 'unsorted-aborts',
    describe: 'aborted lists taken unsorted',
    guarantees: ['exactly-once'],
    // Two transactions must be aborted in another order than they began, in one partition that is read.
    needs: { kills: 10 },
    kafkaOnly: true,
    change: {
      file: 'packages/transport-kafkajs/src/lib/wire/record-set.ts',
      line: '[...options.aborted].sort((a, b) => a.firstOffset - b.firstOffset)',
      instead: '[...options.aborted]',
    },
  },
  {
    name: 'closing-forgotten',
    describe: 'which windows have closed is not kept',
    guarantees: ['exactly-once'],
    needs: { kills: 3 },
    change: {
      file: 'packages/state/src/lib/time/window-partition.ts',
      line: 'this.#isProgressed ? [this.#progress.prepare(this.due.closed)] : []',
      instead: '[]',
    },
  },
  {
    name: 'timers-forgotten',
    describe: 'rows that are due are not found again',
    guarantees: BOTH,
    needs: { kills: 3 },
    change: {
      file: 'packages/state/src/lib/time/due-partition.ts',
      line: 'const changed = [...undo, ...added, ...rows, ...expired, ...deleted]',
      instead: 'const changed = [...undo, ...rows, ...expired, ...deleted]',
    },
  },
  {
    name: 'failing-commits',
    describe: 'commits that fail now and then, which must do no harm',
    guarantees: ['exactly-once'],
    harmless: true,
    wrap: failingCommits,
  },
]

export function defectNamed(name: string): Defect {
  const defect = DEFECTS.find((each) => each.name === name)
  if (defect === undefined)
    throw new Error(`There is no defect "${name}"; there are ${DEFECTS.map((each) => each.name).join(', ')}.`)
  return defect
}
