import { createApp, json, View, type PageContext } from '@millrace/app'
import { z } from 'zod'
import { wordsOf } from './words.ts'

export const app = createApp({ id: 'template-word-count' })

/** Text as people write it, one record for each post. */
export const posts = app.topic('posts', { value: 'string' })

export const counts = app.table('word_counts', {
  key: 'string',
  value: 'number',
  default: () => 0,
  help: 'word -> count',
})

const Word = z.object({ word: z.string() })

// A record's key decides its partition, and so the worker that counts it: all records of one word arrive at one worker.
export const countWords = app.agent(
  'count-words',
  { key: 'string', value: json(Word) },
  async (words) => {
    for await (const { word } of words) counts.update(word, (count) => count + 1)
  },
  { help: 'Counts words' },
)

app.agent(
  'shuffle-words',
  posts,
  async (stream) => {
    for await (const post of stream)
      for (const word of wordsOf(post)) await countWords.send({ key: word, value: { word } })
  },
  { help: 'Splits posts into words and sends each to where it is counted' },
)

app.task(async function onStarted() {
  console.log('APP STARTED')
})

app.timer('1m', async function everyMinute() {
  console.log('WAKE UP')
})

// Every worker declares the job; the leader of the group runs it.
app.crontab(
  '0 20 * * *',
  { timezone: 'America/Los_Angeles', onLeader: true },
  async function everyDayAt8pmPacific({ slot }) {
    console.log(`WAKE UP ONCE A DAY, ON ONE WORKER: ${slot.toISOString()}`)
  },
)

/** GET shows how often this worker was asked, POST adds to it, DELETE resets it. */
class Counter extends View {
  count = 0

  override get(c: PageContext): Response {
    return c.json({ count: this.count })
  }

  override post(c: PageContext): Response {
    this.count += Number(c.query.get('n') ?? 1)
    return c.json({ count: this.count })
  }

  override delete(c: PageContext): Response {
    this.count = 0
    return c.json({ count: this.count })
  }
}
app.page('/counter/', Counter)

// Any worker can be asked for any word: it forwards the request to the worker that has the word.
app.page(
  '/count/:word/',
  app.tableRoute(counts, { param: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })),
)
app.page(
  '/count/',
  app.tableRoute(counts, { query: 'word' }, (c, word) => c.json({ [word]: counts.get(word) })),
)

app.command(
  'produce',
  {
    describe: 'Send example posts',
    options: { maxMessages: { type: 'number', default: 100, describe: 'How many to send' } },
  },
  async ({ maxMessages }, cli) => {
    const lines = ['the quick brown fox', 'jumps over the lazy dog', 'the dog sleeps on']
    for (let sent = 0; sent < maxMessages && !cli.signal.aborted; sent++)
      await posts.send({ value: lines[sent % lines.length] ?? '' })
    cli.say(`Sent ${maxMessages} posts.`)
  },
)
