// `npm start`: the word count on the embedded broker in ./.millrace, fed with a book, its counts shown as they grow.
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { bookPosts } from './book.ts'
import { topWords } from './top-words.ts'

process.env['MILLRACE_BROKER'] ??= 'embedded:./.millrace'
const { app, counts, posts } = await import('./app.ts')

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const stopping = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => true)

say(`Word count on ${process.env['MILLRACE_BROKER']}. Ctrl-C ends it.`)
await app.start()
say(`The worker is ready: open ${app.web.url}`)
say('Sending it the first 42 chapters of Moby-Dick; counts go on from the last run.')
const sending = Promise.all(bookPosts().map((value) => posts.send({ value })))
sending.catch((error: unknown) => {
  say(`Sending failed: ${String(error)}`)
  process.exitCode = 1
})

let shown = ''
for (;;) {
  const { total, lines } = await topWords(counts, 8)
  const text = lines.join('\n')
  if (text !== shown) say(`\n${total} words counted\n${text}`)
  shown = text
  if (await Promise.race([stopping, wait(1000, false)])) break
}

say('\nStopping: finishing what is in flight and committing.')
await app.stop()
say(
  'Stopped. The counts are kept: start again and they go on. `node --import tsx apps/word-count/src/app.ts table word_counts whale --broker embedded:./.millrace` reads one.',
)
