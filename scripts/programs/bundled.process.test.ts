import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { bundled, bundledModule } from './bundled.ts'
import { bundledPackages } from './packages.ts'

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-bundled-')))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function write(name: string, text: string): URL {
  writeFileSync(join(directory, name), text)
  return pathToFileURL(join(directory, name))
}

async function run(program: URL, ...words: readonly string[]): Promise<{ readonly out: string; readonly err: string }> {
  const { stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(await bundled(program)), ...words], {
    encoding: 'utf8',
  })
  return { out: stdout, err: stderr }
}

test('a program believes that it runs from its sources', async () => {
  write('part.ts', 'export const part: string = `${import.meta.url} ${import.meta.dirname}`\n')
  const program = write(
    'whole.ts',
    "import { part } from './part.ts'\nconsole.log(part)\nconsole.log(import.meta.url, import.meta.filename)\nconsole.log(process.argv.slice(1).join(' '))\n",
  )
  const { out } = await run(program, 'a', 'b')
  const [part, meta, argv] = out.split('\n')
  expect(part).toBe(`${new URL('part.ts', program).href} ${directory}`)
  expect(meta).toBe(`${program.href} ${fileURLToPath(program)}`)
  expect(argv).toBe(`${fileURLToPath(program)} a b`)
})

test('its stack traces name lines of the sources', async () => {
  write(
    'fails.ts',
    "interface Gone {\n  readonly x: number\n}\n\nexport function fail(_: Gone): never {\n  throw new Error('as asked')\n}\n",
  )
  const { err } = await run(write('calls.ts', "import { fail } from './fails.ts'\n\nfail({ x: 1 })\n"))
  expect(err).toContain(`${join(directory, 'fails.ts')}:6:`)
  expect(err).toContain(`${join(directory, 'calls.ts')}:3:`)
})

test('a module gives what it exports to a program, and is not taken for one', async () => {
  const module = await bundledModule(
    write(
      'module.ts',
      'export const place: string = import.meta.url\nexport const main: string = String(process.argv[1])\n',
    ),
  )
  const program = write(
    'importer.ts',
    "const all = await import(process.argv[2] ?? '')\nconsole.log(all.place, all.main)\n",
  )
  expect((await run(program, module.href)).out).toBe(
    `${new URL('module.ts', program).href} ${fileURLToPath(program)}\n`,
  )
})

test('of an installed package it runs the build that Node runs, not the one for bundlers', async () => {
  mkdirSync(join(directory, 'node_modules/two-builds'), { recursive: true })
  const exports = { '.': { module: './bundlers.js', default: './node.js' } }
  write('node_modules/two-builds/package.json', JSON.stringify({ name: 'two-builds', type: 'module', exports }))
  write('node_modules/two-builds/bundlers.js', "export const build = 'for bundlers'\n")
  write('node_modules/two-builds/node.js', "export const build = 'for Node'\n")
  const program = write('imports.ts', "import { build } from 'two-builds'\nconsole.log(build)\n")
  expect((await run(program)).out).toBe('for Node\n')
})

test('it is made anew when a source has changed, and only then', async () => {
  write('changing.ts', "export const text = 'one'\n")
  const program = write('shows.ts', "import { text } from './changing.ts'\nconsole.log(text)\n")
  expect((await run(program)).out).toBe('one\n')
  const before = (await bundled(program)).href
  expect((await bundled(program)).href).toBe(before)
  write('changing.ts', "export const text = 'two'\n")
  expect((await run(program)).out).toBe('two\n')
  rmSync(join(directory, 'changing.ts'))
  await expect(bundled(program)).rejects.toThrow('changing.ts')
  write('changing.ts', "export const text = 'one'\n")
  expect((await bundled(program)).href).toBe(before)
})

test('packages are a file each, share what they have in common, and know their sources', async () => {
  const files = await bundledPackages()
  expect(await bundledPackages()).toEqual(files)
  const load = async (name: string): Promise<Record<string, unknown>> => {
    const file = files.get(name)
    if (file === undefined) throw new Error(`There is no ${name}.`)
    return import(pathToFileURL(file).href)
  }
  const [core, testing, app] = await Promise.all(['core', 'testing', 'app'].map((name) => load(`@millrace/${name}`)))
  expect(Object.keys(core ?? {})).toContain('MillraceError')
  // What @millrace/app has of core is what core itself has.
  expect(app?.['MillraceError']).toBe(core?.['MillraceError'])
  expect(testing).toHaveProperty('testApp')
})
