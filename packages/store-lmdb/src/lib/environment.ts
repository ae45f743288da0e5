import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { MillraceError } from '@millrace/core'
import { dataFileFault } from './data-file-fault.ts'
import { hasMarker, writeMarker } from './marker-file.ts'
import { takeOwnership, type Ownership } from './ownership.ts'
import { storeError } from './store-error.ts'

/** Table partitions that one directory can hold. */
const MAX_DATABASES = 4096
const FACTS = 'facts'
/** Another process that is just writing can make the file look torn for a moment. */
const LOOKS = 3

/** An open LMDB environment that belongs to this process alone. */
export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>
  /** Checkpoints, owner, worker id. Tables' databases have a `/` in their names. */
  readonly facts: Database<string, string>
  readonly ownership: Ownership
}

/** Opens or creates the environment in a directory. Throws `STORE_IN_USE`, `STORE_CORRUPT`, `STORE_VERSION`, `STORE_FAILED`. */
export function openEnvironment(directory: string): Environment {
  const what = `The store in "${directory}" cannot be opened`
  try {
    mkdirSync(directory, { recursive: true })
    const marked = hasMarker(directory)
    look(directory, marked)
    const root = open<Buffer, Buffer>({
      path: directory,
      noSubdir: false,
      maxDbs: MAX_DATABASES,
      encoding: 'binary',
      keyEncoding: 'binary',
      // With it, a commit that fails rejects a promise that nobody holds, and Node ends the process.
      eventTurnBatching: false,
      // Rows are read only once they are on the disk.
      overlappingSync: false,
    })
    try {
      const facts = root.openDB<string, string>({ name: FACTS, encoding: 'string', keyEncoding: 'ordered-binary' })
      const ownership = takeOwnership({ root, facts, directory })
      if (!marked) writeMarker(directory)
      return { root, facts, ownership }
    } catch (thrown) {
      // Nothing was written that could be lost; what keeps it from closing is not the news.
      root.close().catch(() => undefined)
      throw thrown
    }
  } catch (thrown) {
    throw storeError(thrown, what)
  }
}

function look(directory: string, marked: boolean): void {
  const data = join(directory, 'data.mdb')
  if (!existsSync(data)) {
    if (marked) throw new MillraceError('STORE_CORRUPT', `"${data}" is missing.`)
    return
  }
  let fault: string | undefined
  for (let i = 0; i < LOOKS; i++) {
    fault = dataFileFault(data)
    if (fault === undefined) return
  }
  throw new MillraceError('STORE_CORRUPT', `"${data}" is damaged: ${fault ?? 'it cannot be read'}.`)
}
