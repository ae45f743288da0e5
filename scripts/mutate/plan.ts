import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { testsOf } from './tests-of.ts'

const ROOT = join(import.meta.dirname, '../..')
const NOT_MUTATED = /\.test\.ts$|\.fixture\.ts$|\/fixtures\/|\.d\.ts$/

/** What is mutated, and what is run. */
export interface Plan {
  /** Patterns of Stryker: files, perhaps with lines. */
  readonly mutate: readonly string[]
  /** Files and folders. */
  readonly tests: readonly string[]
  /** Nothing of the files is left out. */
  readonly isWhole: boolean
}

interface Choices {
  readonly lines?: string | undefined
  readonly since?: string | undefined
  readonly with: readonly string[]
  readonly only?: readonly string[]
}

/** Throws when a path is not there, or `lines` is no range. */
export async function planOf(
  paths: readonly string[],
  { lines, since, with: also, only = [] }: Choices,
): Promise<Plan> {
  const places = paths.map((path) => relative(ROOT, join(ROOT, path)))
  const files = (await Promise.all(places.map(sourcesUnder))).flat()
  const packages = new Set(files.map((file) => file.split('/').slice(0, 2).join('/')))
  const tests = [...new Set((only.length > 0 ? [...only] : [...packages].flatMap(testsOf)).concat(also))]
  if (lines !== undefined) {
    if (files.length !== 1 || !/^\d+-\d+$/.test(lines))
      throw new Error('--lines takes a range such as 20-45, and goes with one file.')
    return { mutate: [`${files[0]}:${lines}`], tests, isWhole: false }
  }
  if (since === undefined) return { mutate: files, tests, isWhole: true }
  const changed = changedLines(await git('diff', '--unified=0', '--no-color', since, '--', ...files))
  return { mutate: changed, tests, isWhole: false }
}

/** Where `--again` keeps the results of what is mutated: a folder's files are too many for a file name. */
export function resultsFile(mutate: readonly string[]): string {
  const digest = createHash('sha256').update(mutate.join('\n')).digest('hex')
  return `node_modules/.cache/mutate/${digest.slice(0, 16)}.json`
}

/** `file:first-last` for what was added or changed, from a diff without context. */
export function changedLines(diff: string): readonly string[] {
  let file = ''
  return diff.split('\n').flatMap((line) => {
    if (line.startsWith('+++ ')) file = line.slice('+++ b/'.length)
    const [, first, count = '1'] = /^@@ \S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? []
    return first === undefined || count === '0' ? [] : [`${file}:${first}-${Number(first) + Number(count) - 1}`]
  })
}

async function sourcesUnder(place: string): Promise<readonly string[]> {
  await stat(join(ROOT, place))
  const listed = await git('ls-files', '--cached', '--others', '--exclude-standard', '--', place)
  return listed.split('\n').filter((path) => path.endsWith('.ts') && !NOT_MUTATED.test(path))
}

async function git(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 })
  return stdout
}
