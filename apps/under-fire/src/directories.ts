import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** A directory for the stores of a `describe`; gives those of workers in it, by name. */
export function directories(): (name: string) => string {
  let root: string
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'millrace-under-fire-'))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))
  return (name) => join(root, name)
}
