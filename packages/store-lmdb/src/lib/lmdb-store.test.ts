import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeSuite } from '@millrace/conformance'
import { createLmdbStore } from './lmdb-store.ts'

storeSuite({
  name: 'lmdb',
  create: () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-store-'))
    return {
      open: () => createLmdbStore({ directory }),
      remove: () => rmSync(directory, { recursive: true, force: true }),
    }
  },
})
