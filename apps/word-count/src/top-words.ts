import type { counts } from './app.ts'

export interface TopWords {
  /** All words counted so far. */
  readonly total: number
  /** The most frequent long words, with bars. */
  readonly lines: readonly string[]
}

/** What the demo shows: words of five letters and more, which say more about a book than "the" does. */
export async function topWords(table: Pick<typeof counts, 'entries'>, most: number): Promise<TopWords> {
  let total = 0
  const words: { word: string; count: number }[] = []
  for await (const [word, count] of table.entries()) {
    total += count
    if (word.length >= 5) words.push({ word, count })
  }
  const top = words.sort((a, b) => b.count - a.count || a.word.localeCompare(b.word)).slice(0, most)
  const largest = top[0]?.count ?? 1
  return {
    total,
    lines: top.map(
      ({ word, count }) =>
        `  ${word.padEnd(12)} ${String(count).padStart(7)}  ${'█'.repeat(Math.ceil((count / largest) * 30))}`,
    ),
  }
}
