import { createApp, json } from '@millrace/app'
import { z } from 'zod'
import { wordsOf } from './words.ts'

export const app = createApp({ id: 'word-counts' })

const Word = z.object({ word: z.string() })

export const posts = app.topic('posts', { value: 'string' })
export const counts = app.table('word_counts', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'word -> count',
})

const countWords = app.agent('count-words', { key: 'string', value: json(Word) }, async (words) => {
  for await (const { word } of words) counts.update(word, (n) => n + 1)
})

app.agent('shuffle-words', posts, async (posts) => {
  for await (const post of posts)
    for (const word of wordsOf(post)) await countWords.send({ key: word, value: { word } })
})

// Each word is on one worker: a request that comes in anywhere is answered there. By path, and by query.
app.page(
  '/count/:word/',
  app.tableRoute(counts, { param: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })),
)
app.page(
  '/count/',
  app.tableRoute(counts, { query: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })),
)

await app.main(import.meta)
