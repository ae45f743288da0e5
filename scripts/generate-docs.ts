// Writes the generated pages of the docs. With --check it writes nothing and fails when a page is not as it would be written.
import { fileURLToPath } from 'node:url'
import { generatedPages, stalePages, writePages } from './docs/generated-pages.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = await generatedPages()
const stale = stalePages(root, pages)

if (process.argv.includes('--check')) {
  for (const path of stale) console.error(`${path} is stale: run node --import tsx scripts/generate-docs.ts`)
  if (stale.length > 0) process.exitCode = 1
} else {
  writePages(root, pages)
  for (const path of stale) console.log(`wrote ${path}`)
}
