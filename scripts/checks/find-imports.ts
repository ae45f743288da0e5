import { codeOnly, lineAt } from './code-only.ts'

export interface ImportFound {
  readonly specifier: string
  readonly line: number
  /** `import type …` or `export type …`: nothing of it is left when the program runs. */
  readonly isOfTypes: boolean
}

const OF_TYPES = /^(?:import|export)\s+type\b/

const PATTERNS = [
  // import … from 'x', export … from 'x'; the list before `from` holds no quotes
  /\b(?:import|export)\b[^'"();=]*?\bfrom\s*(['"])([^'"\n]+)\1/g,
  // import 'x'
  /\bimport\s*(['"])([^'"\n]+)\1/g,
  // import('x'), also in types; require('x'); import.meta.resolve('x')
  /\b(?:import|require|import\.meta\.resolve)\s*\(\s*(['"])([^'"\n]+)\1/g,
]

/** Everything that a file imports, type imports, re-exports and dynamic imports included. */
export function findImports(text: string): readonly ImportFound[] {
  const { code, bare } = codeOnly(text)
  return PATTERNS.flatMap((pattern) =>
    // In `bare` a word that stands within a string is blank: `'import "x"'` imports nothing.
    [...code.matchAll(pattern)]
      .filter(({ index }) => bare[index] !== ' ')
      .map((match) => ({
        specifier: match[2] ?? '',
        line: lineAt(code, match.index + match[0].length),
        isOfTypes: OF_TYPES.test(match[0]),
      })),
  )
}
