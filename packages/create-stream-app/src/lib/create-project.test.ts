import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createProject, whyNot } from './create-project.ts'
import { placeFiles } from './place-files.ts'
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
  test('becomes a project under its own name, without traces of the template or the workspace', async () => {
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

  test('leaves no files beside the project', async () => {
    await createProject({ directory: join(directory, 'shop'), template, pm: 'yarn' })
    expect(await readdir(directory)).toEqual(['shop'])
  })
})

test('a project has the permissions of any other directory', async () => {
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

describe('a directory that exists', () => {
  const shop = (): string => join(directory, 'shop')
  const make = (more: { readonly overwrite?: boolean } = {}): Promise<string> =>
    createProject({ directory: shop(), template: 'minimal', pm: 'npm', ...more })

  test('stays the same directory, so that a shell in it sees the project', async () => {
    await mkdir(shop())
    const before = await stat(shop())
    await make()
    expect((await stat(shop())).ino).toBe(before.ino)
    expect(await readdir(shop())).toContain('package.json')
  })

  test('keeps its content: a repository, files and directories with other names', async () => {
    await mkdir(join(shop(), '.git'), { recursive: true })
    await mkdir(join(shop(), 'src'))
    await writeFile(join(shop(), 'src', 'mine.ts'), 'mine')
    await writeFile(join(shop(), 'LICENSE'), 'mine')
    await make()
    expect(await readdir(shop())).toEqual(expect.arrayContaining(['.git', 'LICENSE', 'package.json']))
    expect(await readdir(join(shop(), 'src'))).toEqual(expect.arrayContaining(['mine.ts', 'app.ts']))
    expect((await readdir(shop())).filter((name) => name.startsWith('.create'))).toEqual([])
  })

  test('is refused and left unchanged if files would be replaced', async () => {
    await mkdir(join(shop(), 'src'), { recursive: true })
    await writeFile(join(shop(), 'src', 'app.ts'), 'mine')
    await writeFile(join(shop(), 'README.md'), 'mine')
    await expect(make()).rejects.toThrow('would replace: README.md, src/app.ts. Move them away, replace them with')
    expect(await files(shop())).toEqual(expect.arrayContaining([join(shop(), 'README.md')]))
    expect(await files(shop())).toHaveLength(2)
    await make({ overwrite: true })
    expect(await readFile(join(shop(), 'src', 'app.ts'), 'utf8')).toContain('createApp')
  })

  test('is always refused if a file has a directory’s name, or a link a file’s name', async () => {
    await mkdir(shop())
    await writeFile(join(shop(), 'src'), 'mine')
    await symlink(join(directory, 'elsewhere'), join(shop(), 'package.json'))
    await expect(make({ overwrite: true })).rejects.toThrow('would replace: package.json, src. Move them away, or')
    expect(await readdir(directory)).toEqual(['shop'])
    expect(await readdir(shop())).toEqual(['package.json', 'src'])
  })

  test('gets no part of the project if a part cannot be placed', async () => {
    const draft = join(directory, 'draft')
    await mkdir(join(draft, 'src'), { recursive: true })
    await writeFile(join(draft, 'a.txt'), 'new')
    await writeFile(join(draft, 'src', 'b.txt'), 'new')
    await mkdir(shop())
    // Somebody created it after the check for conflicts.
    await mkdir(join(shop(), 'src'))
    await writeFile(join(shop(), 'src', 'b.txt'), 'mine')
    await expect(placeFiles(draft, shop(), { overwrite: false })).rejects.toThrow('EEXIST')
    expect(await files(shop())).toEqual([join(shop(), 'src', 'b.txt')])
    expect(await readFile(join(shop(), 'src', 'b.txt'), 'utf8')).toBe('mine')
  })
})

test('leaves nothing in an unwritable directory', async () => {
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

test('the last part of a path must be a valid name', () => {
  expect(whyNot(join(directory, 'deep', 'er', 'my-app'))).toBeUndefined()
})
