import { type CodecSpec, MillraceError } from '@millrace/core'
import type { SourceKeys } from '../events/source.ts'
import type { Branch } from './stream-step.ts'

/** How the events of all branches are keyed. Throws `DEFINITION_INVALID` where that is not known, or not one way. */
export function keysOf(
  branches: readonly Branch[],
  what: string,
): { readonly key: CodecSpec; readonly topics: readonly string[] } {
  const found = branches.map(({ source }) => source.keys)
  const keys = found.filter((each): each is SourceKeys => each !== undefined)
  const [first] = keys
  if (first === undefined || keys.length < found.length || keys.some(({ spec }) => spec !== first.spec))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `${what} needs events of topics that have keys of one kind: call groupBy() before it.`,
    )
  return { key: first.spec, topics: keys.flatMap(({ topics }) => topics) }
}
