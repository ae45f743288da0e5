import { fileURLToPath } from 'node:url'
import type { App } from '@millrace/app'
import { allSnippets, writeSnippets } from '@millrace/reference-pages/snippets'
import { testApp } from '@millrace/testing'
import { context, propagation, trace } from '@opentelemetry/api'
import { afterAll, describe, expect, test } from 'vitest'

// Every whole app of the docs and READMEs is loaded and run, every whole test and program is run. What is a part is
// type-checked by `pnpm check`.

const root = fileURLToPath(new URL('..', import.meta.url))
const placed = writeSnippets(root, allSnippets(root))

// A program registers its SDK, as one does that has the process to itself.
afterAll(() => {
  for (const api of [trace, context, propagation]) api.disable()
})

describe('apps of the docs run', () => {
  test.each(
    placed.filter(({ kind }) => kind === 'app').map((snippet) => [`${snippet.page}:${snippet.line}`, snippet] as const),
  )('%s', async (_where, { module }) => {
    const exports: { readonly app?: App } = await import(module)
    expect(exports.app, 'the block exports its app').toBeDefined()
    if (exports.app === undefined) return
    await using t = await testApp(exports.app)
    await t.settle()
  })
})

// Those that need a broker are run from their tarballs only (`scripts/packed`).
describe('programs of the docs come to their end', () => {
  test.each(
    placed
      .filter(({ kind, needsKafka }) => kind === 'program' && !needsKafka)
      .map(({ page, line, module }) => [`${page}:${line}`, module] as const),
  )('%s', async (_where, module) => {
    await import(module)
    expect(process.exitCode ?? 0).toBe(0)
  })
})

for (const { page, line, module } of placed.filter(({ kind }) => kind === 'test'))
  describe(`${page}:${line}`, () => import(module))
