import type { AppDescription } from '@millrace/core/operations'

/** The compared parts of an app: `kind name` and its declaration. */
function partsOf({ agents, tables, topics, commands }: AppDescription): ReadonlyMap<string, string> {
  return new Map([
    ...agents.map(
      ({ name, topics, concurrency }) => [`agent ${name}`, describe({ reads: topics, concurrency })] as const,
    ),
    ...tables.map(
      ({ name, kind, key, value, partitions }) =>
        [`${kind === 'table' ? 'table' : `${kind} table`} ${name}`, describe({ key, value, partitions })] as const,
    ),
    ...topics
      .filter(({ internal }) => !internal)
      .map(({ name, key, value, partitions }) => [`topic ${name}`, describe({ key, value, partitions })] as const),
    ...commands.map(({ name }) => [`command ${name}`, ''] as const),
  ])
}

/**
 * Changes between two starts of an app, one line each: `+ agent audit (reads orders, concurrency 1)`.
 *
 * @example
 * topologyChanges(before, after) // ['- table totals', '~ agent audit (concurrency 1 -> 4)']
 */
export function topologyChanges(before: AppDescription, after: AppDescription): readonly string[] {
  const [old, now] = [partsOf(before), partsOf(after)]
  return [
    ...[...old.keys()].filter((part) => !now.has(part)).map((part) => `- ${part}`),
    ...[...now].flatMap(([part, declared]) => {
      const was = old.get(part)
      if (was === undefined) return [`+ ${part}${inBrackets(declared)}`]
      return was === declared ? [] : [`~ ${part}${inBrackets(`${was} -> ${declared}`)}`]
    }),
  ]
}

function describe(facts: Readonly<Record<string, string | number | readonly string[] | undefined>>): string {
  return Object.entries(facts)
    .flatMap(([name, fact]) =>
      fact === undefined ? [] : [`${name} ${typeof fact === 'object' ? fact.join(', ') : fact}`],
    )
    .join(', ')
}

function inBrackets(text: string): string {
  return text === '' ? '' : ` (${text})`
}
