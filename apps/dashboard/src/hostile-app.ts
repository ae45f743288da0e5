import { createApp } from '@millrace/app'

// An app whose names, keys, values, headers, helps and errors all try to become part of the page, or of its objects.

const LURES = [
  '<img src=x onerror="window.lured = 1">',
  '</script><script>window.lured = 2</script>',
  '"><svg onload="window.lured = 3">',
  "' onmouseover='window.lured = 4",
  'javascript:window.lured=5',
  '<a href="javascript:window.lured=6" autofocus onfocus="window.lured=7">x</a>',
  '<style>body { display: none }</style>',
  '${window.lured = 8}{{constructor.constructor("window.lured = 9")()}}',
  '\u202Eevil\u2066\u0000\u001b[31m\u009b2J',
]
const ALL = LURES.join(' ')

export const app = createApp({ id: 'hostile', topicPartitions: 1 })

export const lures = app.topic('lures', { key: 'string', value: 'json' })

// Names may be those of what every object has.
export const rows = app.table('__proto__', { key: 'string', value: 'string', help: ALL })
app.table('hasOwnProperty', { key: 'string', value: 'string', help: ALL })

const days = app.table('isPrototypeOf', { key: 'string', value: 'json', help: ALL }).tumbling('1d', { name: 'valueOf' })

app.agent(
  '__proto__',
  lures,
  async (stream) => {
    for await (const value of stream) {
      rows.set(String(value), ALL)
      days.set(String(value), { [String(value)]: 1, ['__proto__']: 2, text: ALL })
    }
  },
  { help: ALL },
)

app.agent(
  'constructor',
  lures,
  async (stream) => {
    for await (const value of stream) {
      const error = new Error(`${String(value)} ${ALL}`)
      error.name = ALL
      throw error
    }
  },
  { onError: 'deadLetter', help: ALL },
)

app.crontab('0 20 * * *', { onLeader: true, name: 'constructor' }, async () => {
  throw new Error(ALL)
})

app.command('attack', { describe: 'Sends the lures' }, async () => {
  for (const lure of LURES) await lures.send({ key: lure, value: lure, headers: { [lure]: lure } })
})

await app.main(import.meta)
