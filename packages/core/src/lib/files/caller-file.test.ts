import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { callerFile, packageDirectory, packageVersion } from './caller-file.ts'

describe('where the app file is', () => {
  it('is the file of the caller', () => {
    const callee = (): string | undefined => callerFile(callee)
    expect(callee()).toBe(fileURLToPath(import.meta.url))
  })

  it('belongs to the nearest package', () => {
    const here = fileURLToPath(import.meta.url)
    expect(packageDirectory(here)).toBe(join(dirname(here), '../../..'))
  })
})

describe('the version of a package', () => {
  it("is the version in the package's manifest", () => {
    const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
    expect(packageVersion(import.meta.url)).toBe(JSON.parse(manifest).version)
  })

  it("is unknown in a bundle, whether the bundle is inside an app's package or not", () => {
    const place = mkdtempSync(join(tmpdir(), 'millrace-bundle-'))
    const bundle = pathToFileURL(join(place, 'out', 'app.mjs')).href
    try {
      mkdirSync(join(place, 'out'))
      expect(packageVersion(bundle)).toBe('unknown')
      writeFileSync(join(place, 'package.json'), '{ "name": "shop", "version": "7.0.0" }')
      expect(packageVersion(bundle)).toBe('unknown')
    } finally {
      rmSync(place, { recursive: true })
    }
  })
})
