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

await app.main(import.meta)
