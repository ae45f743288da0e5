import { posix } from 'node:path'
import { codeOnly, lineAt } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isShipped, type SourceFile, type Workspace } from './workspace.ts'

interface Habit {
  readonly pattern: RegExp
  readonly message: string
  /** Elsewhere than in what packages ship it may be. */
  readonly shippedOnly?: true
  /** In files named `*.fixture.ts` it may be. */
  readonly inFixtures?: true
}

const IN_CODE: readonly Habit[] = [
  { pattern: /\bas\s+unknown\s+as\b/g, message: 'find the type that is true' },
  // A fixture that is a program has nobody to share its state with.
  {
    pattern: /^(?:export\s+)?(?:let|var)\s/gm,
    message: 'module-level mutable state',
    shippedOnly: true,
    inFixtures: true,
  },
  {
    pattern: /\b(?:class|interface|type|function)\s+\w*(?:Manager|Helpers?|Utils?|Impl)\b/g,
    message: 'a name that says nothing: Manager, Helper, Util, Impl',
  },
  {
    pattern: /\bvi\s*\.\s*(?:fn|mock|spyOn|stubGlobal|doMock)\b/g,
    message: 'mocks nothing: use real parts, in memory',
  },
  { pattern: /\b(?:it|test|describe)\s*\.\s*only\b/g, message: 'leaves the other tests out' },
]

const IN_COMMENTS: readonly Habit[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g, message: 'work left: do it, or open an issue' },
  { pattern: /@ts-(?:ignore|nocheck)\b/g, message: 'silences the compiler' },
  { pattern: /@ts-expect-error\b/g, message: 'silences the compiler', shippedOnly: true },
]

/** Rules of style that can be seen in the text. */
export function checkHabits(workspace: Workspace): readonly Problem[] {
  return workspace.files.flatMap((file) => {
    const { bare, comments } = codeOnly(file.text)
    return [...checkName(file), ...find(IN_CODE, bare, file), ...find(IN_COMMENTS, comments, file)]
  })
}

function find(habits: readonly Habit[], text: string, file: SourceFile): readonly Problem[] {
  return habits
    .filter(({ shippedOnly }) => shippedOnly !== true || (isShipped(file) && file.path.startsWith('packages/')))
    .filter(({ inFixtures }) => inFixtures !== true || !file.path.endsWith('.fixture.ts'))
    .flatMap(({ pattern, message }) =>
      [...text.matchAll(pattern)].map(({ index, 0: found }) => ({
        file: file.path,
        line: lineAt(text, index),
        message: `${found.trim()}: ${message}`,
      })),
    )
}

function checkName({ path, package: owner }: SourceFile): readonly Problem[] {
  if (owner === undefined || !path.startsWith(`${owner.directory}/src/`)) return []
  const name = posix.basename(path)
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9-]+)*$/.test(name))
    return [{ file: path, message: 'is not named in kebab-case' }]
  return /(?:^|-)(?:utils?|helpers?|manager|misc|common|impl)\./.test(name)
    ? [{ file: path, message: 'has a name that says nothing' }]
    : []
}
