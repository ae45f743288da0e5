import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Counts the same text in another way, with the tools of the system: what the word count must agree with. Python's
 * regular expressions would be a third; these are POSIX.
 */
export function independentCount(): ReadonlyMap<string, number> {
  const file = fileURLToPath(new URL('../text/moby-dick.txt', import.meta.url))
  const script = String.raw`perl -CSD -Mutf8 -ne 'for (lc =~ /[\p{L}\p{N}]+(?:[\x27\x{2019}][\p{L}\p{N}]+)*/g) { $n{$_}++ } END { print "$n{$_} $_\n" for keys %n }' "$1"`
  const output = execFileSync('sh', ['-c', script, 'count', file], { encoding: 'utf8', maxBuffer: 64 << 20 })
  return new Map(
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const space = line.indexOf(' ')
        return [line.slice(space + 1), Number(line.slice(0, space))] as const
      }),
  )
}
