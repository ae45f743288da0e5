import { createApp, View, type PageContext } from '@millrace/app'

export const app = createApp({ id: 'pages' })

// This counter lives in memory only: it is gone when the worker restarts, and every worker has its own.
let count = 0

app.page('/count/', (c) => c.json({ count: ++count }))

class Counter extends View {
  count = 0

  override get(c: PageContext): Response {
    return c.json({ count: this.count })
  }

  override post(c: PageContext): Response {
    const n = Number(c.query.get('n') ?? 1)
    if (!Number.isFinite(n)) return c.error(400, `n is ${JSON.stringify(c.query.get('n'))}; it must be a number.`)
    this.count += n
    return c.json({ count: this.count })
  }

  override delete(c: PageContext): Response {
    this.count = 0
    return c.json({ count: this.count })
  }
}

app.page('/counter/', Counter)

// A page may wait for whatever it likes: a database, a cache, another service. Other pages are answered meanwhile.
app.page('/weather/', async (c) => {
  const answer = await fetch(process.env['WEATHER_SERVICE'] ?? 'http://localhost:8000/', { signal: c.signal })
  return c.json({ weather: await answer.text() })
})

await app.main(import.meta)
