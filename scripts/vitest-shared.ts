import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll } from 'vitest'

/**
 * Disables, when the function that it returns is called, the storages that have been entered since. Until then Node hands
 * what each holds on to every promise of the process: the few hundred that tests leave, one for each small world of theirs,
 * would make every later file a hundred times slower.
 */
export function watchStorages(): () => void {
  const { run, enterWith } = AsyncLocalStorage.prototype
  const entered = new Set<AsyncLocalStorage<unknown>>()
  AsyncLocalStorage.prototype.run = function (this: AsyncLocalStorage<unknown>, ...call: [unknown, () => unknown]) {
    entered.add(this)
    return Reflect.apply(run, this, call)
  }
  AsyncLocalStorage.prototype.enterWith = function (this: AsyncLocalStorage<unknown>, store: unknown) {
    entered.add(this)
    Reflect.apply(enterWith, this, [store])
  }
  return () => {
    Object.assign(AsyncLocalStorage.prototype, { run, enterWith })
    for (const storage of entered) storage.disable()
  }
}

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
