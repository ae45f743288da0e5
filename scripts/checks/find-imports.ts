import { codeOnly, lineAt } from './code-only.ts'

export interface ImportFound {
  readonly specifier: string
  readonly line: number
}

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
  const { code } = codeOnly(text)
  return PATTERNS.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({ specifier: match[2] ?? '', line: lineAt(code, match.index + match[0].length) })),
  )
}
