import { fileURLToPath } from 'node:url'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { callerFile, packageDirectory } from './caller-file.ts'

describe('where the app file is', () => {
  it('is the file of whoever called', () => {
    const callee = (): string | undefined => callerFile(callee)
    expect(callee()).toBe(fileURLToPath(import.meta.url))
  })

  it('belongs to the nearest package', () => {
    const here = fileURLToPath(import.meta.url)
    expect(packageDirectory(here)).toBe(join(dirname(here), '../../..'))
  })
})
