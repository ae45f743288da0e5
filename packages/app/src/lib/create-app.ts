import { checkOptions, resolveSettings, type AppSettings, type OptionNames } from '@millrace/core'
import type { AppEnvironment } from './app-environment.ts'
import { App } from './app.ts'
import { AppRuntime } from './app-runtime.ts'
import { callerFile } from './caller-file.ts'
import { Definitions } from './definitions.ts'
import { Lifecycle } from './lifecycle.ts'
import { packageDirectory } from './package-directory.ts'

const ENVIRONMENT: OptionNames<AppEnvironment> = { clock: true, log: true, sensor: true }

/**
 * Makes an app. Starts nothing and connects to nothing.
 *
 * @throws `SETTING_UNKNOWN`, `SETTING_INVALID`, `BROKER_URL_INVALID`, `STORE_URL_INVALID`
 * @example
 * export const app = createApp({ id: 'word-counts', broker: 'kafka://localhost:9092' })
 */
export function createApp(settings: AppSettings, environment: AppEnvironment = {}): App {
  const file = callerFile(createApp)
  checkOptions('the environment of createApp', environment, ENVIRONMENT)
  const definitions = new Definitions()
  const runtime = new AppRuntime(definitions, {
    ...environment,
    argument: settings,
    settings: resolveSettings({ env: process.env, argument: settings }),
    home: file === undefined ? process.cwd() : packageDirectory(file),
  })
  return new App({
    definitions,
    runtime,
    lifecycle: new Lifecycle(runtime),
    streams: runtime.streams,
    tables: runtime.tables,
  })
}
