import fc from 'fast-check'
import { afterAll } from 'vitest'
import { watchStorages } from './watch-storages.ts'

/** What files that share a process have in common, by name. */
function sharedState(): ReadonlyMap<string, unknown> {
  const { version: _, ...registered }: object & { version?: string } =
    Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1')) ?? {}
  return new Map<string, unknown>([
    ['the working directory', process.cwd()],
    ['what is registered with OpenTelemetry', Object.keys(registered).join()],
    ...Object.entries(process.env).map(([name, value]) => [`process.env.${name}`, value] as const),
    ...process.eventNames().map((name) => [`listeners of "${String(name)}"`, process.listenerCount(name)] as const),
  ])
}

// Each run of the tests tries other cases. `PROPERTY_RUNS=1000` tries more of them.
fc.configureGlobal({ numRuns: Number(process.env['PROPERTY_RUNS'] ?? 50) })

// Runs before and after each quick file: they share processes, and none may notice which ran before it.
const before = sharedState()
const disableStorages = watchStorages()

afterAll(() => {
  disableStorages()
  const after = sharedState()
  const left = [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => `${name}: ${String(before.get(name))} before, ${String(after.get(name))} after`)
  if (left.length > 0)
    throw new Error(`This file leaves something behind for those that run after it: ${left.join('; ')}`)
})
