import { AsyncLocalStorage } from 'node:async_hooks'

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
