import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { readEquivalents, sortSurvivors } from './mutate/equivalents.ts'
import { mutantOf } from './mutate/mutant.ts'
import { planOf, resultsFile } from './mutate/plan.ts'
import { reportOf } from './mutate/report.ts'
import { TESTS_VARIABLE } from './mutate/tests-of.ts'

// `pnpm mutate packages/worker/src/lib/queue`: changes the sources under a path in many small ways, one at a time, and
// runs for each the quick tests that reach it. Prints what no test noticed. Decision 105.

const USAGE = `pnpm mutate PATH… [options]

PATH is a file or folder of one package's sources.

  --lines A-B         only mutants that lie in these lines of the one file
  --since REF         only mutants in lines that changed since a commit or branch
  --with PATH         tests of other packages that are to notice, too: a folder or file; more than once
  --only PATH         these tests and no others: a folder or file; more than once. What they do not notice, others may
  --concurrency N     processes that run tests at a time (1)
  --again             keep results, and run again what has changed in the mutated files and tests alone
  --strings           also mutate strings, which are messages in most cases

Exits 1 when a mutant survives that scripts/mutate/equivalents does not name, or when an entry there is wrong.`

const root = new URL('..', import.meta.url).pathname
process.chdir(root)

const { positionals, values } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  allowPositionals: true,
  options: {
    lines: { type: 'string' },
    since: { type: 'string' },
    with: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
    concurrency: { type: 'string', default: '1' },
    again: { type: 'boolean', default: false },
    strings: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help || positionals.length === 0) {
  console.log(USAGE)
  process.exit(values.help ? 0 : 2)
}

const plan = await planOf(positionals, values)
if (plan.mutate.length === 0) {
  console.log('There is nothing to mutate.')
  process.exit(0)
}

// Before the run: who works on meanwhile changes lines.
const files = [...new Set(plan.mutate.map((pattern) => pattern.replace(/:\d+-\d+$/, '')))]
const texts = new Map(await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const)))

process.env[TESTS_VARIABLE] = JSON.stringify(plan.tests)
const results = await new Stryker({
  mutate: [...plan.mutate],
  mutator: { excludedMutations: values.strings ? [] : ['StringLiteral'] },
  ignorers: ['messages'],
  plugins: [`${root}scripts/mutate/stryker-plugins.mjs`],
  testRunner: 'warm',
  coverageAnalysis: 'perTest',
  concurrency: Number(values.concurrency),
  timeoutMS: 20_000,
  timeoutFactor: 2,
  incremental: values.again,
  incrementalFile: resultsFile(plan.mutate),
  // Of use for a compiler's API that TypeScript 7 does not have.
  tsconfigFile: 'none',
  disableTypeChecks: false,
  packageManager: 'pnpm',
  ignorePatterns: ['/docs', '/bench', '/apps', '/decisions', '/deploy', 'dist', '.millrace', '.kafka'],
  tempDirName: '.stryker-tmp',
  cleanTempDir: 'always',
  reporters: ['progress-append-only', 'survivors'],
}).runMutationTest()

const mutants = results.map((result) => {
  const file = relative(root, result.fileName)
  return mutantOf(file, texts.get(file) ?? '', result)
})
const sorted = sortSurvivors(
  mutants,
  await readEquivalents(),
  new Set(plan.isWhole ? mutants.map(({ file }) => file) : []),
)
console.log(`\n${reportOf(mutants, sorted)}`)
process.exitCode = sorted.survivors.length + sorted.wrong.length > 0 ? 1 : 0
