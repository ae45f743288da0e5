import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeDirectory } from './make-directory.ts'

const place = mkdtempSync(join(tmpdir(), 'millrace-directory-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))

const at = (...names: string[]): string => join(place, ...names)

test('creates missing directories and accepts existing ones', () => {
  for (const directory of [at('a'), at('a', 'b', 'c'), at('a', 'b', 'c'), at('ünï ☃', 'with a space')]) {
    makeDirectory(directory)
    expect(statSync(directory).isDirectory()).toBe(true)
  }
  makeDirectory(relative(process.cwd(), at('relative', 'below')))
  expect(existsSync(at('relative', 'below'))).toBe(true)
  makeDirectory(at(...Array(10).fill('d'.repeat(200))))
})

test('a link to a directory is accepted; a dangling link is named in the error', () => {
  makeDirectory(at('target'))
  symlinkSync(at('target'), at('link'))
  makeDirectory(at('link', 'below'))
  expect(existsSync(at('target', 'below'))).toBe(true)
  symlinkSync(at('nothing'), at('dangling'))
  expect(() => makeDirectory(at('dangling', 'below'))).toThrow(`"${at('dangling')}" cannot be looked at (ENOENT`)
  symlinkSync(at('round'), at('round'))
  expect(() => makeDirectory(at('round', 'below'))).toThrow('(ELOOP')
})

test('a file in place of the directory or of its parent is named in the error', () => {
  writeFileSync(at('file'), 'x')
  for (const directory of [at('file'), at('file', 'below'), at('file', 'far', 'below')])
    expect(() => makeDirectory(directory)).toThrow(`"${at('file')}" is not a directory`)
})

test('a name that is too long for the system is an error and does not hang', () => {
  expect(() => makeDirectory(at('n'.repeat(300)))).toThrow('(ENAMETOOLONG')
  expect(() => makeDirectory(at(...Array(25).fill('n'.repeat(200))))).toThrow('(ENAMETOOLONG')
})

test('a directory that cannot be written is named in the error', ({ skip }) => {
  if (process.getuid?.() === 0) return skip('Root may write anywhere.')
  makeDirectory(at('closed'))
  chmodSync(at('closed'), 0o500)
  expect(() => makeDirectory(at('closed'))).toThrow(`"${at('closed')}" cannot be written (EACCES`)
  expect(() => makeDirectory(at('closed', 'below'))).toThrow(`"${at('closed')}" takes no new directory (EACCES`)
})

// In a process of its own with a limit: what never ends here would end no test.
test.skipIf(!existsSync('/proc/self'))('the process file system takes none, at once', () => {
  const file = JSON.stringify(new URL('./make-directory.ts', import.meta.url).href)
  const directories = ['/proc/millrace', '/proc/millrace/below', '/proc/self/fd/millrace']
  const program = `import { makeDirectory } from ${file}
    for (const directory of ${JSON.stringify(directories)})
      try { makeDirectory(directory) } catch (error) { console.log(error.message) }`
  const { stdout, signal } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { timeout: 30_000, killSignal: 'SIGKILL', encoding: 'utf8' },
  )
  expect(signal).toBeNull()
  const lines = stdout.trim().split('\n')
  expect(lines).toHaveLength(directories.length)
  for (const line of lines) expect(line).toMatch(/^"\/proc.* takes no new directory \(ENOENT/)
})
