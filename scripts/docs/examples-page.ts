import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable } from './markdown-table.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const APPS = 'apps'
const TEMPLATES = 'packages/create-stream-app/templates'

/** `apps/README.md`: every example, with what its own README says first. */
export function examplesIndex(): string {
  return indexOf(
    (directory) =>
      `[\`${nameOf(directory)}\`](${directory.startsWith(APPS) ? '' : '../'}${directory.replace(/^apps\//, '')})`,
  )
}

/** `docs/reference/examples.md`: the same, without links into the sources, which are no part of the site. */
export function examplesPage(): string {
  return indexOf((directory) => `\`${directory}\``)
}

function indexOf(name: (directory: string) => string): string {
  const rowsOf = (parent: string): readonly (readonly string[])[] =>
    readdirSync(join(ROOT, parent), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${parent}/${entry.name}`)
      .toSorted()
      .map((directory) => [name(directory), firstParagraph(join(ROOT, directory, 'README.md'))])
  return `# Examples

Generated from the READMEs of the examples; run \`node --import tsx scripts/generate-docs.ts\` after a change there.

Each is a package of its own, with tests, and runs from the root of the repository after \`npx pnpm@12.21.0 install\`; how, its README says. \`npm start\` runs the first one most people want, the word count.

${markdownTable(['example', 'shows'], rowsOf(APPS))}
## To begin with

\`npm create stream-app\` copies one of these:

${markdownTable(['template', 'is'], rowsOf(TEMPLATES))}`
}

function nameOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1)
}

/** The first line of text that is no heading: the READMEs put their first paragraph into one. */
function firstParagraph(file: string): string {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((each) => each.trim() !== '' && !each.startsWith('#'))
  if (line === undefined) throw new Error(`${file} does not say what the example shows.`)
  return line.replace(/:$/, '.')
}
