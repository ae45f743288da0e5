// Type-checks the TypeScript blocks of the docs as a user's project would be, and names page and line of what is wrong.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allSnippets, hiddenSetups, lineInPage, writeSnippets } from './docs/snippets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const snippets = allSnippets(root)
const placed = writeSnippets(root, snippets)
const home = join(root, 'docs/.snippets')
writeFileSync(
  join(home, 'tsconfig.json'),
  JSON.stringify({
    extends: '../../packages/create-stream-app/templates/minimal/tsconfig.json',
    compilerOptions: { skipLibCheck: true, composite: false, incremental: false },
    files: placed.map(({ module }) => module),
    include: [],
    // The packages as they are built, not their sources, which would all be checked anew.
    references: readdirSync(join(root, 'packages'))
      .map((name) => join(root, 'packages', name))
      .filter((path) => existsSync(join(path, 'tsconfig.json')))
      .map((path) => ({ path })),
  }),
)
const output = compile()
const problems = output.split('\n').flatMap((text) => {
  const found = /^(\S+?)\((\d+),\d+\): (.*)$/.exec(text)
  if (found === null) return text.trim() === '' ? [] : [text]
  const [, file = '', line = '', message = ''] = found
  const snippet = placed.find(({ module }) => relative(root, module) === file)
  return [snippet === undefined ? text : `${snippet.page}:${lineInPage(snippet, Number(line))} ${message}`]
})
problems.push(...hiddenSetups(snippets))
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function compile(): string {
  try {
    return execFileSync('tsc', ['-b', home, '--pretty', 'false'], { cwd: root, encoding: 'utf8' })
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && error.stdout !== '') return String(error.stdout)
    throw error
  }
}
