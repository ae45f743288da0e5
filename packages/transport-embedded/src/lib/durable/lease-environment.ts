import { realpathSync } from 'node:fs'
import type { Clock } from '@millrace/core'
import { newHostName } from './host-name.ts'
import type { Durability } from './marker-file.ts'
import { OpenGate } from './open-gate.ts'
import { prepareDirectory, refuseOtherDurability } from './open-log.ts'
import { SharedEnvironment } from './shared-environment.ts'

/**
 * State of the process, and so of this module: LMDB opens databases in a synchronous write transaction. Were a log
 * opened once more while a write through the first handle is under way, that transaction would wait for the write and
 * the write for the event loop, for ever. So all transports of a process share one environment for each directory.
 */
const environments: Map<string, Promise<SharedEnvironment>> = new Map()

export interface LeaseOptions {
  readonly directory: string
  readonly durability: Durability | undefined
  readonly clock: Clock
  readonly timeoutMs: number
}

/**
 * Opens the log in a directory, or joins the transports of this process that have. The caller must `leave` it when
 * nothing of its own is under way any more. Throws as `openLog` does.
 */
export async function leaseEnvironment(options: LeaseOptions): Promise<SharedEnvironment> {
  prepareDirectory(options.directory)
  const directory = realpathSync(options.directory)
  for (let known = environments.get(directory); known !== undefined; known = environments.get(directory)) {
    const environment = await known
    if (environment.closing === undefined) return join(directory, environment, options.durability)
    await environment.closing
    if (environments.get(directory) === known) environments.delete(directory)
  }
  const opening = SharedEnvironment.open({ ...options, directory, gate: new OpenGate(directory, newHostName()) })
  environments.set(directory, opening)
  try {
    return join(directory, await opening, options.durability)
  } catch (error) {
    if (environments.get(directory) === opening) environments.delete(directory)
    throw error
  }
}

function join(directory: string, environment: SharedEnvironment, wanted: Durability | undefined): SharedEnvironment {
  refuseOtherDurability(directory, environment.durability, wanted)
  environment.join()
  return environment
}
