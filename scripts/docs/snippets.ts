import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A block of TypeScript in a page of the docs or in a README. */
export interface Snippet {
  /** Of the page, from the root of the repository. */
  readonly page: string
  /** Of the block's first line of code in the page, counted from 1. */
  readonly line: number
  /**
   * `app`: a whole app, to be loaded and run. `test`: a whole test file, to be run. `program`: runs by itself and ends.
   * `part`: to be type-checked only, after the setup that its reader does not see.
   */
  readonly kind: 'app' | 'test' | 'program' | 'part'
  /** A whole one that needs a broker: `KAFKA_BROKERS`. */
  readonly needsKafka: boolean
  /** Under which other blocks of the page import it: `app.ts`. */
  readonly file: string
  /** What goes before the code: the text of a comment `<!-- setup … -->` right above the block. */
  readonly setup: string
  readonly code: string
}

const KINDS = ['app', 'test', 'program'] as const

const BLOCK = /(?:<!-- setup\n(?<setup>[\s\S]*?)-->\n+)?^```ts(?<info>[^\n]*)\n(?<code>[\s\S]*?)^```$/gm

/** The blocks of a page's text. */
export function snippetsOf(page: string, text: string): readonly Snippet[] {
  return [...text.matchAll(BLOCK)].map((match, at) => {
    const { setup = '', info = '', code = '' } = match.groups ?? {}
    const before = text.slice(0, match.index + match[0].length - code.length - '```'.length)
    return {
      page,
      line: before.split('\n').length,
      kind: KINDS.find((kind) => info.split(' ').includes(kind)) ?? 'part',
      needsKafka: info.split(' ').includes('kafka'),
      file: /\bfile=(\S+)/.exec(info)?.[1] ?? `block-${at + 1}.ts`,
      setup,
      code,
    }
  })
}

/** All blocks of the pages below `docs` that are written by hand, of the packages' READMEs, and of that of the repository. */
export function allSnippets(root: string): readonly Snippet[] {
  const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !/(?:^|\/)(?:node_modules|\.)|^reference\/api\//.test(path))
    .toSorted()
    .map((path) => `docs/${path}`)
  return ['README.md', ...packageReadmes(root), ...pages].flatMap((page) =>
    snippetsOf(page, readFileSync(join(root, page), 'utf8')),
  )
}

/** Where a README hides what its block needs: page and line. A reader copies a README's block as it is. */
export function hiddenSetups(snippets: readonly Snippet[]): readonly string[] {
  return snippets
    .filter(({ page, setup }) => setup !== '' && /(?:^|\/)README\.md$/.test(page))
    .map(({ page, line }) => `${page}:${line} The block has a hidden setup: a README's block stands alone.`)
}

/** From the root of the repository: `packages/core/README.md`. */
export function packageReadmes(root: string): readonly string[] {
  return readdirSync(join(root, 'packages'))
    .toSorted()
    .map((name) => `packages/${name}/README.md`)
}

/** A block as a module on disk. */
export interface PlacedSnippet extends Snippet {
  /** Absolute. */
  readonly module: string
}

/**
 * Writes each block as a module to `docs/.snippets`, a folder a page, where the packages are found as in a user's project.
 * What was there before goes.
 */
export function writeSnippets(root: string, snippets: readonly Snippet[]): readonly PlacedSnippet[] {
  const home = join(root, 'docs/.snippets')
  rmSync(home, { recursive: true, force: true })
  return snippets.map((snippet) => {
    const page = snippet.page.replace(/\.md$/, '').replaceAll(/[^a-z0-9-]/gi, '-')
    const module = join(home, page, snippet.file)
    mkdirSync(dirname(module), { recursive: true })
    writeFileSync(module, `${snippet.setup}${snippet.code}\nexport {}\n`)
    return { ...snippet, module }
  })
}

/** Where in a page a line of a module comes from; a line of the setup is that of the block's first. */
export function lineInPage({ line, setup }: Snippet, moduleLine: number): number {
  return line + Math.max(moduleLine - setup.split('\n').length, 0)
}
