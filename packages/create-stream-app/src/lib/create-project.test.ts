import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createProject, whyNot } from './create-project.ts'
import { isTemplate, TEMPLATES } from './templates.ts'

let directory = ''

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'create-stream-app-')))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

const templates = Object.keys(TEMPLATES).filter((name) => isTemplate(name))

async function files(path: string): Promise<readonly string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe.each(templates)('template %s', (template) => {
  test('becomes a project under its own name, with nothing of the template or the workspace left in it', async () => {
    const path = await createProject({ directory: join(directory, 'shop'), template, pm: 'npm' })
    expect(path).toBe(join(directory, 'shop'))
    const all = await files(path)
    expect(all.map((file) => file.slice(path.length + 1))).toEqual(
      expect.arrayContaining([
        'package.json',
        'tsconfig.json',
        'README.md',
        '.gitignore',
        '.env.example',
        'src/app.ts',
      ]),
    )
    for (const file of all) expect(await readFile(file, 'utf8')).not.toMatch(/template-|workspace:|\{\{/)
    expect(all.filter((file) => file.includes('node_modules') || file.includes('/_'))).toEqual([])
    const manifest: unknown = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'))
    expect(manifest).toMatchObject({ name: 'shop', dependencies: { '@millrace/app': expect.stringMatching(/^\^\d/) } })
    expect(await readFile(join(path, 'src/app.ts'), 'utf8')).toContain("id: 'shop'")
  })

  test('leaves nothing beside the project', async () => {
    await createProject({ directory: join(directory, 'shop'), template, pm: 'yarn' })
    expect(await readdir(directory)).toEqual(['shop'])
  })
})

test('a project is as readable as any other directory', async () => {
  const path = await createProject({ directory: join(directory, 'shop'), template: 'minimal', pm: 'npm' })
  expect((await stat(path)).mode & 0o777).toBe(0o777 & ~process.umask())
})

test.each([
  ['npm', 'npm run dev', 'npx millrace', []],
  ['pnpm', 'pnpm run dev', 'pnpm exec millrace', ['pnpm-workspace.yaml']],
  ['yarn', 'yarn run dev', 'yarn run millrace', ['.yarnrc.yml']],
] as const)('the README speaks %s', async (pm, run, exec, more) => {
  const path = await createProject({ directory: join(directory, 'shop'), template: 'minimal', pm })
  const readme = await readFile(join(path, 'README.md'), 'utf8')
  expect(readme).toContain(run)
  expect(readme).toContain(exec)
  expect(await readdir(path)).toEqual(expect.arrayContaining([...more]))
})

test('an empty directory is used', async () => {
  await mkdir(join(directory, 'shop'))
  await createProject({ directory: join(directory, 'shop'), template: 'minimal', pm: 'npm' })
  expect(await readdir(join(directory, 'shop'))).toContain('package.json')
})

test('a directory that has something in it is left alone', async () => {
  await mkdir(join(directory, 'shop'))
  await writeFile(join(directory, 'shop', 'mine.txt'), 'mine')
  await expect(createProject({ directory: join(directory, 'shop'), template: 'minimal', pm: 'npm' })).rejects.toThrow(
    'is not empty: it has mine.txt',
  )
  expect(await readdir(directory)).toEqual(['shop'])
  expect(await readdir(join(directory, 'shop'))).toEqual(['mine.txt'])
})

test('where nothing can be written nothing is left', async () => {
  await writeFile(join(directory, 'file'), '')
  await expect(
    createProject({ directory: join(directory, 'file', 'shop'), template: 'minimal', pm: 'npm' }),
  ).rejects.toThrow('cannot be')
  expect(await readdir(directory)).toEqual(['file'])
})

test.each([
  ['', 'Name a directory'],
  ['My App', 'cannot be the name of a package'],
  ['UPPER', 'capital letters'],
  ['node_modules', 'cannot be the name of a package'],
  ['a!b', 'cannot be the name of a package'],
  ['.hidden', 'cannot be the name of a package'],
])('"%s" is no name', (name, why) => {
  expect(whyNot(name)).toContain(why)
})

test('a path is judged by its last part', () => {
  expect(whyNot(join(directory, 'deep', 'er', 'my-app'))).toBeUndefined()
})
