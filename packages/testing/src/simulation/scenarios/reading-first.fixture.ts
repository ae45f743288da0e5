import { json } from '@millrace/app'
import { type Entry, idOf, neighbourOf, type Scenario } from './scenario.fixture.ts'

interface Step extends Entry {
  readonly agent: string
  /** Version of each row that was read. */
  readonly read: Readonly<Record<string, number>>
  /** The row that was written, whose version is then the one that was read and 1. */
  readonly wrote: string
}

/**
 * Handlers that read rows, await, and write one of them: two agents on one task, one of them with eight instances. Whatever
 * the order of their awaits, the outcome must be that of some order in which they ran one after another.
 */
export const readingFirst: Scenario = ({ app, world, entries }) => {
  const versions = app.table('versions', { key: 'string', value: 'number', default: () => 0 })
  const steps = app.topic('steps', { key: 'string', value: json<Step>() })
  const onError = { retry: 1000, backoff: '20ms', maxBackoff: '100ms' } as const
  const declare = (agent: string, own: boolean, options: { concurrency: number; ordering: 'key' | 'none' }): void => {
    app.agent(
      agent,
      entries,
      async (stream) => {
        for await (const { key, number } of stream) {
          const other = neighbourOf(key)
          const read = { [key]: versions.get(key), [other]: versions.get(other) }
          await world.pause()
          const wrote = own ? key : other
          versions.set(wrote, (read[wrote] ?? 0) + 1)
          await steps.send({ key, value: { key, number, agent, read, wrote } })
          if (world.fails(0.04)) throw new Error('a handler that fails now and then')
        }
      },
      { ...options, onError },
    )
  }
  declare('write-own', true, { concurrency: 8, ordering: 'none' })
  declare('write-other', false, { concurrency: 2, ordering: 'key' })
  return ({ run, input }) => {
    const taken = run.sent(steps).flatMap(({ value }) => value ?? [])
    const ids = new Set(taken.map((step) => `${step.agent} ${idOf(step)}`))
    const least = new Map<string, number>()
    for (const entry of input) {
      if (entry.cut) continue
      for (const [agent, row] of [
        ['write-own', entry.key],
        ['write-other', neighbourOf(entry.key)],
      ] as const) {
        if (!ids.has(`${agent} ${idOf(entry)}`)) throw new Error(`steps has lost ${idOf(entry)} of ${agent}.`)
        least.set(row, (least.get(row) ?? 0) + 1)
      }
    }
    if (!run.mayDouble) checkSerial(taken)
    for (const row of new Set(taken.map(({ wrote }) => wrote))) {
      const version = versions.get(row)
      const writes = taken.filter(({ wrote }) => wrote === row).length
      // What was handled again has been sent again, and its first writes may have gone with a worker.
      if (version === writes || (run.mayDouble && version >= (least.get(row) ?? 0))) continue
      throw new Error(`versions has ${version} for ${row}, after ${writes} writes.`)
    }
  }
}

/** Throws unless the steps can be put in an order in which each has read what the ones before it had written. */
function checkSerial(steps: readonly Step[]): void {
  const writers = new Map<string, number>()
  steps.forEach(({ read, wrote }, nth) => {
    const version = `${wrote}@${(read[wrote] ?? 0) + 1}`
    const other = writers.get(version)
    if (other !== undefined)
      throw new Error(`${nameOf(steps[nth])} has overwritten ${nameOf(steps[other])}: both wrote ${version}.`)
    writers.set(version, nth)
  })
  // Who must come before whom: the writer of a version before its readers, and these before the writer of the next.
  const after = steps.map(() => new Set<number>())
  steps.forEach(({ read }, nth) => {
    for (const [row, version] of Object.entries(read)) {
      const before = writers.get(`${row}@${version}`)
      if (before !== undefined) after[before]?.add(nth)
      const next = writers.get(`${row}@${version + 1}`)
      if (next !== undefined && next !== nth) after[nth]?.add(next)
    }
  })
  const state = new Map<number, 'open' | 'done'>()
  const visit = (nth: number, path: readonly number[]): void => {
    if (state.get(nth) === 'done') return
    if (state.get(nth) === 'open')
      throw new Error(
        `No order explains what was read: ${[...path, nth].map((one) => nameOf(steps[one])).join(' before ')}.`,
      )
    state.set(nth, 'open')
    for (const next of after[nth] ?? []) visit(next, [...path, nth])
    state.set(nth, 'done')
  }
  steps.forEach((_, nth) => visit(nth, []))
}

function nameOf(step: Step | undefined): string {
  return step === undefined ? 'nothing' : `${step.agent} ${step.key}/${step.number}`
}
