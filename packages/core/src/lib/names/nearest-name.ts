/**
 * The candidate that was most likely meant, for "did you mean"; `undefined` when none is near: more than a third of the
 * word would have to change, and it is no short form of one alone, as `tz` is of `timezone`. Case does not count.
 *
 * @example
 * nearestName('comitInterval', ['commitInterval', 'connectTimeout']) // 'commitInterval'
 */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates]
  let nearest: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of all) {
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance >= least) continue
    least = distance
    nearest = candidate
  }
  return nearest ?? spelledOut(word, all)
}

/** The one candidate that begins as the word does and has its other letters in the same order. */
function spelledOut(word: string, candidates: readonly string[]): string | undefined {
  if (word.length < 2) return undefined
  const longer = candidates.filter((candidate) => shortens(word.toLowerCase(), candidate.toLowerCase()))
  return longer.length === 1 ? longer[0] : undefined
}

function shortens(word: string, candidate: string): boolean {
  if (word[0] !== candidate[0]) return false
  let at = 0
  for (const letter of candidate) if (letter === word[at]) at++
  return at === word.length
}

/** Letters to insert, delete, replace or swap with their neighbour to get from one word to the other. */
function edits(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(last, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1)
      let best = Math.min(replaced, at(last, j) + 1, at(row, j - 1) + 1)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) best = Math.min(best, at(beforeLast, j - 2) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return at(last, to.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
