import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mutant } from './mutant.ts'

/** A mutant that no test can tell from the program: it does the same, or the difference is none that was promised. */
export interface Equivalent {
  /** From the root of the workspace. */
  readonly file: string
  /** The line in which it begins, without the space around. */
  readonly line: string
  /** As the report shows it. Where a line has it twice, both are meant. */
  readonly change: string
  readonly reason: string
}

const LISTS = join(import.meta.dirname, 'equivalents')

/** All that are named, in the files of a directory. */
export async function readEquivalents(directory: string = LISTS): Promise<readonly Equivalent[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json'))
  const lists = await Promise.all(
    names.map(async (name): Promise<readonly Equivalent[]> =>
      JSON.parse(await readFile(join(directory, name), 'utf8')),
    ),
  )
  return lists.flat()
}

export interface Sorted {
  /** Neither noticed by a test nor named. */
  readonly survivors: readonly Mutant[]
  readonly equivalents: readonly Mutant[]
  /** Entries of the list that name no survivor, and why. */
  readonly wrong: readonly string[]
}

/** `whole`: files of which all mutants are there, so that an entry without one is stale. */
export function sortSurvivors(
  mutants: readonly Mutant[],
  named: readonly Equivalent[],
  whole: ReadonlySet<string>,
): Sorted {
  const survivors = mutants.filter(({ outcome }) => outcome === 'survived' || outcome === 'not reached')
  const wrong = named.flatMap((entry) => {
    const meant = mutants.filter((mutant) => isMeant(mutant, entry))
    if (meant.length === 0)
      return whole.has(entry.file) ? [`${entry.file}: there is no mutant  ${entry.change}  in "${entry.line}"`] : []
    return meant.some((mutant) => survivors.includes(mutant))
      ? []
      : [`${entry.file}: the mutant  ${entry.change}  in "${entry.line}" is noticed by a test`]
  })
  const isNamed = (mutant: Mutant): boolean => named.some((entry) => isMeant(mutant, entry))
  return {
    survivors: survivors.filter((mutant) => !isNamed(mutant)),
    equivalents: survivors.filter(isNamed),
    wrong,
  }
}

function isMeant(mutant: Mutant, { file, line, change }: Equivalent): boolean {
  return mutant.file === file && mutant.line === line && mutant.change === change
}
