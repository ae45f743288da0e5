import { App } from './app.ts'
import type { AppRuntime } from './app-runtime.ts'

/** The running side of an app, for test kits. */
export function runtimeOf(app: App): AppRuntime {
  return App.partsOf(app).runtime
}
