import type { StreamsDeps } from '@millrace/streams'
import type { TablesDeps } from '@millrace/tables'
import type { AppRuntime } from './app-runtime.ts'
import type { Definitions } from './definitions.ts'
import type { Lifecycle } from './lifecycle.ts'

/** What an app is made of. */
export interface AppParts {
  readonly definitions: Definitions
  readonly runtime: AppRuntime
  readonly lifecycle: Lifecycle
  readonly streams: StreamsDeps
  readonly tables: TablesDeps
}
