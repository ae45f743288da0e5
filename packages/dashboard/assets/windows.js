import { duration, plural, short, when } from './format.js'
import { byId, el, setAttribute, setText, svg } from './dom.js'
import { number, Sheet } from './tables.js'

/** What is held for longer, although there are events, is marked. */
const LONG_MS = 60_000
const MOST_SERIES = 4
/** The newest are drawn. */
const MOST_BARS = 1000

/** Event time by state: its watermark, what holds it, and its windows. */
export function timeSheet() {
  const two = (cell) => cell.append(el('span'), el('small'))
  return new Sheet(
    'time',
    [
      { name: 'State', update: (cell, { label, help }) => setText(cell, label, help) },
      {
        name: 'Watermark',
        kind: 'time',
        title: 'How far event time has come, in the partition that is furthest behind',
        make: two,
        update: (cell, { watermark, behindMs }) => {
          setText(cell.children[0], watermark === undefined ? 'no event yet' : when(watermark), watermark ?? '')
          setText(cell.children[1], behindMs === undefined ? '' : `${duration(Math.max(behindMs, 0))} behind`)
        },
      },
      {
        name: 'Held by',
        kind: 'held',
        make: two,
        update: (cell, { heldBy, partition }) => {
          const since = heldBy && `partition ${partition}, for ${duration(heldBy.forMs)}`
          setText(cell.children[0], heldBy?.why ?? 'nothing: all of its partitions are idle', heldBy?.reason)
          setText(cell.children[1], since ?? '', heldBy?.since)
          setAttribute(cell.children[0], 'data-level', isStuck(heldBy) ? 'bad' : undefined)
        },
      },
      number('Open', ({ windows }) => windows?.open, 'Windows that have rows and take events'),
      number('Closed', ({ windows }) => windows?.closed, 'Keys of closed windows that an agent has handled'),
      number('Late', ({ late }) => late, 'Events that came after their windows had closed'),
      {
        name: 'Oldest open',
        kind: 'time',
        update: (cell, { windows }) =>
          setText(cell, windows?.oldestOpen === undefined ? '–' : when(windows.oldestOpen), windows?.oldestOpen ?? ''),
      },
    ],
    () => [],
  )
}

function isStuck(heldBy) {
  return (heldBy?.reason === 'event' || heldBy?.reason === 'records') && heldBy.forMs >= LONG_MS
}

/** One row for each state: the partition that is furthest behind, and the windows of all. */
export function timeRows({ watermarks, tables }) {
  const rows = new Map()
  for (const one of watermarks) {
    const name = `${one.kind}:${one.name}`
    const known = rows.get(name)
    if (one.sources.length > 0 && (known === undefined || comesFirst(one, known))) rows.set(name, one)
  }
  return [...rows].map(([name, one]) => {
    const table = one.kind === 'state' ? tables.find((each) => each.name === one.name) : undefined
    const label = one.kind === 'topic' ? `into topic ${one.name}` : one.name
    const { windows, late = 0 } = table ?? {}
    return { ...one, name, label, windows, late: windows && late, table: one.name }
  })
}

function comesFirst(one, other) {
  if (isStuck(one.heldBy) !== isStuck(other.heldBy)) return isStuck(one.heldBy)
  return (one.watermark ?? '') < (other.watermark ?? '')
}

/** Whether an answer is what a windowed table has under a key. */
export function areWindows(value) {
  return Array.isArray(value) && value.length > 0 && value.every((each) => each?.end >= each?.start && 'value' in each)
}

/** A key's windows as a picture: a bar for each, as wide as its time; each number of its values has a color. */
export function windowChart(all) {
  const windows = all.slice(-MOST_BARS)
  const names = numbersIn(windows[0].value).slice(0, MOST_SERIES)
  if (names.length === 0) return undefined
  const numberOf = (value, name) => Math.max(Number(name === undefined ? value : value?.[name]) || 0, 0)
  const most = Math.max(...windows.flatMap(({ value }) => names.map((name) => numberOf(value, name))), 1)
  const from = windows[0].start
  const to = Math.max(...windows.map(({ end }) => end), from + 1)
  const x = (time) => (1000 * (time - from)) / (to - from)
  const words = el('p', { class: 'quiet' }, `${plural(windows.length, 'window')}, at most ${short(most)}`)
  const bars = windows.flatMap((each) =>
    names.map((name, nth) => {
      const height = (100 * numberOf(each.value, name)) / most
      const width = Math.max((x(each.end) - x(each.start)) / names.length - 0.5, 1)
      const place = { x: Math.min(x(each.start) + nth * width, 1000 - width), y: 100 - height, width, height }
      const text = `${when(each.start)} – ${when(each.end)}: ${JSON.stringify(each.value)}`
      const bar = svg('rect', { ...place, 'data-nth': nth }, svg('title', {}, text))
      bar.addEventListener('pointerenter', () => setText(words, text))
      return bar
    }),
  )
  const picture = { viewBox: '0 0 1000 100', preserveAspectRatio: 'none', role: 'img', 'aria-label': words.textContent }
  const times = el('p', { class: 'times' }, el('span', {}, when(from)), el('span', {}, when(to)))
  return el('div', { class: 'through-time' }, words, svg('svg', picture, ...bars), times)
}

function numbersIn(value) {
  if (typeof value === 'number') return [undefined]
  if (typeof value !== 'object' || value === null) return []
  return Object.keys(value).filter((name) => typeof value[name] === 'number')
}

/** The panel of event time is there where something keeps it. */
export function showTime(sheet, rows) {
  byId('time-section').hidden = rows.length === 0
  sheet.show(rows)
}
