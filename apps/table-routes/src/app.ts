import { createApp, json } from '@millrace/app'
import { z } from 'zod'

export const app = createApp({ id: 'table-routes' })

const Place = z.object({ country: z.string(), city: z.string() })

// Tables with three kinds of keys. Their keys are encoded as those of their topics, so a key is found where its events came.
const byName = app.topic('visits-by-name', { key: 'string', value: 'number' })
const byNumber = app.topic('visits-by-number', { key: 'number', value: 'number' })
const byPlace = app.topic('visits-by-place', { key: json(Place), value: 'number' })

const names = app.table('names', { key: 'string', value: 'number', default: () => 0 })
const numbers = app.table('numbers', { key: 'number', value: 'number', default: () => 0 })
const places = app.table('places', { key: json(Place), value: 'number', default: () => 0 })

app.agent('count-names', byName, async (stream) => {
  for await (const [name, visits] of stream.items()) names.update(name, (sum) => sum + visits)
})
app.agent('count-numbers', byNumber, async (stream) => {
  for await (const [number, visits] of stream.items()) numbers.update(number, (sum) => sum + visits)
})
app.agent('count-places', byPlace, async (stream) => {
  for await (const [place, visits] of stream.items()) places.update(place, (sum) => sum + visits)
})

// Its topic is its own, so whoever asks it is answered by the worker that the request's key is on.
const greet = app.agent('greet', { key: 'string', value: 'string' }, async function* (names) {
  for await (const name of names) yield `Hello ${name}!`
})

app.page(
  '/names/:name/',
  app.tableRoute(names, { param: 'name' }, (c, name) => c.json({ key: name, visits: names.get(name) })),
)
app.page(
  '/numbers/',
  app.tableRoute(numbers, { query: 'n' }, (c, number) => c.json({ key: number, visits: numbers.get(number) })),
)
app.page(
  '/places/',
  app.tableRoute(places, { query: 'place' }, (c, place) => c.json({ key: place, visits: places.get(place) })),
)
// A view sends to a topic, and answers once the broker has the event.
app.page('/visit/', async (c) => {
  const { query } = c
  const [name, number, place] = [query.get('name'), query.get('n'), query.get('place')]
  if (name !== null) await byName.send({ key: name, value: 1 })
  if (number !== null) await byNumber.send({ key: Number(number), value: 1 })
  if (place !== null) await byPlace.send({ key: Place.parse(JSON.parse(place)), value: 1 })
  return c.json({ visited: [name, number, place].filter((key) => key !== null) })
})
// A view calls an agent, and waits for what it says.
app.page('/greet/:name/', async (c) => c.json({ greeting: await greet.ask(c.params.name, { key: c.params.name }) }))

await app.main(import.meta)
