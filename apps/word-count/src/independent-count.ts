import { execFileSync } from 'node:child_process'

/**
 * Counts the words of some posts in another way, with the tools of the system: what the word count must agree with. Python's
 * regular expressions would be a third; these are POSIX.
 */
export function independentCount(posts: readonly string[]): ReadonlyMap<string, number> {
  const script = String.raw`perl -CSD -Mutf8 -ne 'for (lc =~ /[\p{L}\p{N}]+(?:[\x27\x{2019}][\p{L}\p{N}]+)*/g) { $n{$_}++ } END { print "$n{$_} $_\n" for keys %n }'`
  const output = execFileSync('sh', ['-c', script], {
    input: posts.join('\n'),
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
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
