import { parseSync } from 'oxc-parser'
import { analyse } from 'scslre'
import { lineAt } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isLibrary, type SourceFile, type Workspace } from './workspace.ts'

/** Patterns that are made when the program runs are not seen. Those there are, and why each is no danger. */
const MADE_AT_RUN_TIME: ReadonlySet<string> = new Set([
  // The name of the cookie is a constant.
  'packages/web/src/lib/access/sessions.ts',
])
/** Tests call these, and nobody else does. */
const TEST_KITS = /^packages\/(?:conformance|testing)\//

interface Found {
  readonly pattern: string
  readonly flags: string
  readonly index: number
}

/**
 * Regular expressions whose time grows faster than the text that they look at: with the square of its length, or worse.
 * Whoever writes the text (a record, a header, a path) could hold up the event loop with a long one.
 */
export function checkRegexps({ files }: Workspace): readonly Problem[] {
  return files.filter(isProduct).flatMap((file) => {
    const { text, path } = file
    const { literals, calls } = regexpsOf(file)
    const dynamic = MADE_AT_RUN_TIME.has(path) ? [] : calls
    return [
      ...literals.flatMap(({ pattern, flags, index }) =>
        analyse({ source: pattern, flags }).reports.map(({ exponential }) => ({
          file: path,
          line: lineAt(text, index),
          message: `/${pattern}/${flags} takes time that grows ${exponential ? 'exponentially' : 'with the square of the text'}: write it so that no text can be split in two ways`,
        })),
      ),
      ...dynamic.map((index) => ({
        file: path,
        line: lineAt(text, index),
        message: 'makes a regular expression when it runs, of which nobody knows how its time grows: write a literal',
      })),
    ]
  })
}

function isProduct({ path, isTest, package: owner }: SourceFile): boolean {
  if (owner === undefined || !isLibrary(owner) || isTest || TEST_KITS.test(path)) return false
  const inside = path.slice(owner.directory.length + 1)
  return (inside.startsWith('src/') || inside.startsWith('assets/')) && !inside.includes('fixture')
}

/** What a file has of literals, and where it makes others. */
function regexpsOf({ path, text }: SourceFile): {
  readonly literals: readonly Found[]
  readonly calls: readonly number[]
} {
  const literals: Found[] = []
  const calls: number[] = []
  const look = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(look)
    if (typeof node !== 'object' || node === null) return
    const found = asLiteral(node)
    if (found !== undefined) literals.push(found)
    if (isRegExpCall(node)) calls.push(startOf(node))
    Object.values(node).forEach(look)
  }
  look(parseSync(path, text).program)
  return { literals, calls }
}

function asLiteral(node: object): Found | undefined {
  if (!('regex' in node) || typeof node.regex !== 'object' || node.regex === null) return undefined
  const { regex } = node
  if (!('pattern' in regex) || !('flags' in regex)) return undefined
  return { pattern: String(regex.pattern), flags: String(regex.flags), index: startOf(node) }
}

function isRegExpCall(node: object): boolean {
  if (!('callee' in node) || typeof node.callee !== 'object' || node.callee === null) return false
  return 'name' in node.callee && node.callee.name === 'RegExp'
}

function startOf(node: object): number {
  return 'start' in node ? Number(node.start) : 0
}
