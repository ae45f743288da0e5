import { codeOnly, lineAt } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isShipped, type Workspace } from './workspace.ts'

const NAMED = /\s*export\s+(?:type\s+)?\{[^{}]*\}\s*from\s*(['"])[^'"\n]+\1\s*;?/y

/** Entry files are named re-exports and nothing else, and nobody exports everything of another file. */
export function checkEntries(workspace: Workspace): readonly Problem[] {
  const entries = new Set(
    workspace.packages.filter(({ directory }) => directory.startsWith('packages/')).flatMap((each) => each.entries),
  )
  return workspace.files.flatMap((file) => {
    const { code } = codeOnly(file.text)
    const stars = isShipped(file)
      ? [...code.matchAll(/\bexport\s+(?:type\s+)?\*/g)].map(({ index }) => ({
          file: file.path,
          line: lineAt(code, index),
          message: 'export *: name what is exported',
        }))
      : []
    return entries.has(file.path) ? [...stars, ...checkEntry(file.path, code)] : stars
  })
}

function checkEntry(file: string, code: string): readonly Problem[] {
  let at = 0
  for (;;) {
    NAMED.lastIndex = at
    if (NAMED.exec(code) === null) break
    at = NAMED.lastIndex
  }
  if (code.slice(at).trim() === '') return []
  const line = lineAt(code, at + code.slice(at).search(/\S/))
  return [{ file, line, message: 'an entry file holds named re-exports only: export { … } from …' }]
}
