import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { askForKafka } from '@millrace/kafka-for-tests'
import { packageReadmes, snippetsOf, type Snippet } from '@millrace/reference-pages/snippets'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { root } from './pack.ts'
import { runCommand } from './run-command.ts'

const LIMIT_MS = 180_000
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
/** Has no code: its commands are run by the tests of the scaffolds. */
const WITHOUT_CODE = ['packages/create-stream-app/README.md']

/** The whole blocks of a README, with what they need. */
interface Example {
  readonly page: string
  readonly name: string
  readonly snippets: readonly Snippet[]
  /** Ranges of what is to be installed, by name: the package itself and what the blocks import. */
  readonly dependencies: Readonly<Record<string, string>>
  readonly directory: string
}

interface Manifest {
  readonly name?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const pages = ['README.md', ...packageReadmes(root).filter((page) => !WITHOUT_CODE.includes(page))]
let home = ''
let examples: ReadonlyMap<string, Example> = new Map()

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'readmes-')))
  examples = new Map(await Promise.all(pages.map(async (page) => [page, await exampleOf(page)] as const)))
  // One installation for all, but each has a directory of its own and finds what it has named itself, nothing else.
  await writeFile(join(home, 'package.json'), '{ "private": true }')
  await writeFile(join(home, 'pnpm-workspace.yaml'), "packages: ['*']\nhoist: false\npmOnFail: ignore\n")
  for (const { directory, dependencies, snippets } of examples.values()) {
    await mkdir(directory)
    await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }))
    for (const { file, kind, setup, code } of snippets) {
      expect(setup, 'a whole block needs no setup').toBe('')
      await writeFile(join(directory, kind === 'test' ? file.replace('.ts', '.test.ts') : file), code)
    }
  }
  const registry = inject('registryUrl')
  await runCommand('npx', ['--yes', inject('packageManager'), 'install', '--ignore-scripts'], {
    cwd: home,
    env: { npm_config_registry: registry, pnpm_config_registry: registry },
    timeoutMs: LIMIT_MS,
  })
}, LIMIT_MS)

afterAll(() => rm(home, { recursive: true, force: true }))

test.each(pages)(
  'what stands alone in %s runs with the tarball and what it says to install',
  { timeout: LIMIT_MS },
  async (page) => {
    const example = examples.get(page)
    if (example === undefined) throw new Error(`${page} was not read.`)
    expect(example.snippets.length, 'the README has a whole block').toBeGreaterThan(0)
    for (const snippet of example.snippets) await run(example, snippet)
  },
)

async function run({ directory: cwd }: Example, { kind, file, needsKafka }: Snippet): Promise<void> {
  const timeoutMs = LIMIT_MS
  if (kind === 'test') {
    const { output } = await runCommand('node_modules/.bin/vitest', ['run', '--root', '.'], { cwd, timeoutMs })
    expect(output).toMatch(/\d+ passed/)
    return
  }
  if (kind === 'app') {
    const main = `import { app } from './${file}'\nawait app.start()\nawait app.stop()\nconsole.log('It ran.')\n`
    await writeFile(join(cwd, 'main.ts'), main)
    const env = { MILLRACE_BROKER: 'memory:', MILLRACE_WEB_ENABLED: 'false' }
    const { output } = await runCommand('node', ['--import', TSX, 'main.ts'], { cwd, env, timeoutMs })
    expect(output).toContain('It ran.')
    return
  }
  const kafka = needsKafka ? await askForKafka() : undefined
  expect(kafka?.problem ?? '').toBe('')
  await runCommand('node', ['--import', TSX, file], {
    cwd,
    env: kafka === undefined ? {} : { KAFKA_BROKERS: kafka.brokers },
    timeoutMs,
  })
}

async function exampleOf(page: string): Promise<Example> {
  const text = await readFile(join(root, page), 'utf8')
  const whole = snippetsOf(page, text).filter(({ kind }) => kind !== 'part')
  const own = await manifestOf(page === 'README.md' ? 'packages/app/package.json' : join(dirname(page), 'package.json'))
  const workspace = await manifestOf('package.json')
  const name = own.name ?? ''
  const told = [...text.matchAll(/^npm install (.*)$/gm)].flatMap(([, names = '']) => names.split(' '))
  const imported = whole.flatMap(({ code }) =>
    [...code.matchAll(/from '(@[\w-]+\/[\w-]+|[a-z][\w-]*)(?:\/[\w/-]+)?'/g)].flatMap(
      ([, specifier]) => specifier ?? [],
    ),
  )
  const ranges = { ...workspace.devDependencies, ...own.devDependencies, ...own.dependencies }
  const rangeOf = (needed: string): string => {
    if (needed !== name && !told.includes(needed) && !(needed in { ...own.dependencies, ...own.devDependencies }))
      throw new Error(`${page} imports ${needed}, which it neither depends on nor tells its reader to install.`)
    return needed.startsWith('@millrace/') ? '*' : (ranges[needed] ?? '*')
  }
  return {
    page,
    name,
    snippets: whole,
    dependencies: Object.fromEntries(
      [name, ...told.filter((each) => !each.startsWith('-')), ...imported].map((each) => [each, rangeOf(each)]),
    ),
    directory: join(home, page.replace(/\/?README\.md$/, '').replaceAll('/', '-') || 'repository'),
  }
}

async function manifestOf(path: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, path), 'utf8'))
}
