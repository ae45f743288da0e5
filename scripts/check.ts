import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { externalCheck, internalCheck, type Check } from './checks/check-step.ts'
import { checkEntries } from './checks/entries.ts'
import { figuresOf } from './checks/figures.ts'
import { checkHabits } from './checks/habits.ts'
import { checkImportRings } from './checks/import-rings.ts'
import { checkArrows, checkLayers } from './checks/layers.ts'
import { checkDecisionIndex, checkLinks } from './checks/links.ts'
import { checkPlaces } from './checks/places.ts'
import { readWorkspace } from './checks/read-workspace.ts'
import { checkRegexps } from './checks/regexps.ts'
import { checkShells } from './checks/shells.ts'
import { checkWords } from './checks/words.ts'

// `pnpm check`, or `pnpm check layers lint` for some of them. Prints one line a check and what it found; exits 1 if any
// failed. All of them together end with figures of the sources, which are shown and not enforced.

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** What nothing is built on, so that the root's tsconfig.json cannot refer to it. */
const programs: readonly string[] = [
  ...readdirSync(join(root, 'apps'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `apps/${name}`),
  ...['bench', 'bench/kafka-streams', 'bench/verifier', 'docs', 'scripts/deploy', 'scripts/packed', 'scripts/programs'],
]

/** Quick ones first; early too what CI's tests wait for, the packages. */
const checks: readonly Check[] = [
  internalCheck('layers', 'who may import whom, and does', (workspace) => [
    ...checkLayers(workspace),
    ...checkArrows(workspace),
  ]),
  internalCheck('rings', 'files that import each other', checkImportRings),
  internalCheck('places', 'libraries and facilities in their one place', checkPlaces),
  internalCheck('entries', 'entry files are named re-exports', checkEntries),
  internalCheck('shells', 'every package has README, code and tests', checkShells),
  internalCheck('links', 'links lead somewhere, and every decision is in the index', (workspace) => [
    ...checkLinks(workspace),
    ...checkDecisionIndex(workspace),
  ]),
  internalCheck('habits', 'style that can be seen in the text', checkHabits),
  internalCheck('words', 'no old names and home-made words', checkWords),
  internalCheck('regexps', 'regular expressions that a long text cannot slow down', checkRegexps),
  externalCheck('types', 'tsc -b', ['tsc', '-b', '.', ...programs]),
  externalCheck('packages', 'publint and arethetypeswrong on what is published', [
    'node',
    '--import',
    'tsx',
    'scripts/packed/lint-tarballs.ts',
  ]),
  externalCheck('snippets', 'code blocks of the docs have their types', [
    'node',
    '--import',
    'tsx',
    'scripts/check-snippets.ts',
  ]),
  externalCheck('lint', 'oxlint with types', ['oxlint', '--quiet', '--format', 'unix']),
  externalCheck('format', 'oxfmt', ['oxfmt', '--list-different']),
  externalCheck('unused', 'knip', ['knip', '--no-progress']),
  externalCheck('docs', 'generated pages are fresh', [
    'node',
    '--import',
    'tsx',
    'scripts/generate-docs.ts',
    '--check',
  ]),
  externalCheck('site', 'the docs build, and their links lead somewhere', [
    'node',
    '--import',
    'tsx',
    'docs/build-site.ts',
  ]),
]

const wanted = process.argv.slice(2).filter((word) => word !== '--')
const unknown = wanted.filter((name) => !checks.some((check) => check.name === name))
if (unknown.length > 0) {
  console.error(`There is no check ${unknown.join(', ')}; there are ${checks.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const workspace = await readWorkspace(root)
const failed: string[] = []
for (const { name, describe, run } of checks) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const beganMs = performance.now()
  const { ok, output } = await run({ root, workspace })
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1)
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(8)}  ${describe} (${seconds} s)`)
  if (ok) continue
  failed.push(name)
  console.log(output.replace(/^/gm, '      '))
}
if (wanted.length === 0)
  for (const [figure, value] of figuresOf(workspace)) console.log(`${String(value).padStart(8)}  ${figure}`)
console.log(failed.length === 0 ? 'All checks passed.' : `Failed: ${failed.join(', ')}.`)
process.exitCode = failed.length === 0 ? 0 : 1
