import { checkOptions, MillraceError, type OptionNames } from '@millrace/core'
import type { AnyChannel } from '../channels/channel.ts'
import type { AnyTopic } from '../topics/topic.ts'
import type { HandlerRun } from './handler-run.ts'
import type { MergeOptions } from './stream-options.ts'
import { type Branch, branchesOf } from './stream-step.ts'

const MERGE_OPTIONS: OptionNames<MergeOptions> = { ordered: true }

/** The branches of a stream with those of what is merged into it. Throws `DEFINITION_INVALID`, `TOPOLOGY_LATE`. */
export function mergeBranches(
  run: HandlerRun,
  own: readonly Branch[],
  given: readonly (readonly Branch[] | AnyTopic | AnyChannel | MergeOptions)[],
): readonly Branch[] {
  const where = `merge() of agent "${run.agent}"`
  const options = given.filter((each): each is MergeOptions => !(Array.isArray(each) || 'planFor' in each))
  for (const each of options) checkOptions(where, each, MERGE_OPTIONS)
  const branches = [...own]
  for (const each of given)
    if ('planFor' in each) branches.push(...branchesOf(run.steps.further(each)))
    else if (isBranches(each)) branches.push(...each)
  const sources = new Set(branches.map(({ source }) => source))
  if (sources.size < branches.length)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `Agent "${run.agent}" merges two streams that read the same source; each event would go to one of them.`,
    )
  if (options.some(({ ordered }) => ordered === true)) run.steps.ordered(branches, where)
  return branches
}

function isBranches(given: object): given is readonly Branch[] {
  return Array.isArray(given)
}
