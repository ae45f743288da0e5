import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cliPage } from './cli-page.ts'
import { errorsPage } from './errors-page.ts'
import { examplesIndex, examplesPage } from './examples-page.ts'
import { httpPage } from './http-page.ts'
import { metricsPage } from './metrics-page.ts'
import { rightsPage } from './rights-page.ts'
import { settingsPage } from './settings-page.ts'

/** A page whose text follows from tables in the code. */
export interface GeneratedPage {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

/** All pages that are generated. */
export async function generatedPages(): Promise<readonly GeneratedPage[]> {
  return [
    { path: 'docs/reference/errors.md', text: errorsPage() },
    { path: 'docs/reference/settings.md', text: settingsPage() },
    { path: 'docs/reference/cli.md', text: await cliPage() },
    { path: 'docs/reference/http.md', text: await httpPage() },
    { path: 'docs/reference/metrics.md', text: await metricsPage() },
    { path: 'docs/reference/rights.md', text: rightsPage() },
    { path: 'docs/reference/examples.md', text: examplesPage() },
    { path: 'apps/README.md', text: examplesIndex() },
  ]
}

/** Paths of those that are missing under `root` or differ from what would be generated. */
export function stalePages(root: string, pages: readonly GeneratedPage[]): readonly string[] {
  return pages.filter(({ path, text }) => readOrUndefined(join(root, path)) !== text).map(({ path }) => path)
}

/** Writes them all under `root`. */
export function writePages(root: string, pages: readonly GeneratedPage[]): void {
  for (const { path, text } of pages) {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}

function readOrUndefined(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
