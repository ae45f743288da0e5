import { chmodSync, readdirSync } from 'node:fs'
import { type Clock, makeDirectory, MillraceError, PRIVATE_FILE } from '@millrace/core'
import { createMarker, readMarker } from '../durable/marker-file.ts'
import { dataPath, logError } from '../durable/open-log.ts'
import { leaseEnvironment } from '../durable/shared-environment.ts'

/**
 * The log of a directory, for operations on the whole log. Written out rather than derived from `LeaseOptions`, because
 * users who check their type definitions cannot compile those of LMDB.
 */
export interface LogPlace {
  readonly directory: string
  readonly clock: Clock
  /** How long to wait until the processes that use the log pause. */
  readonly timeoutMs: number
}

/**
 * Copies a log, as of one moment, into another directory, which must be empty or missing. Processes may use it
 * meanwhile: they wait while it is opened, as for any other process, and continue while it is copied.
 *
 * @throws `LOG_MISSING` if there is none; `BACKUP_REFUSED` if the directory is not empty; the errors of `connect`
 */
export async function copyLog(place: LogPlace, target: string): Promise<void> {
  const { directory } = place
  if (readMarker(directory) === undefined) throw new MillraceError('LOG_MISSING', `There is no log in "${directory}".`)
  makeEmpty(target)
  const environment = await leaseEnvironment(place)
  try {
    await environment.tables.root.backup(dataPath(target), true)
    chmodSync(dataPath(target), PRIVATE_FILE)
    createMarker(target, environment.durability)
  } catch (thrown) {
    throw logError(thrown, `The log in "${directory}" cannot be copied to "${target}":`)
  } finally {
    await environment.leave()
  }
}

function makeEmpty(directory: string): void {
  makeDirectory(directory)
  const [found] = readdirSync(directory)
  if (found !== undefined)
    throw new MillraceError('BACKUP_REFUSED', `"${directory}" contains "${found}", and so cannot take a copy of a log.`)
}
