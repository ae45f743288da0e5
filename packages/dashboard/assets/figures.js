import { duration, full, rate, short, when } from './format.js'
import { byId, el, setAttribute, setText } from './dom.js'

const KEPT = 300

/** The five figures: what each is called, which number of a point it shows, and how. */
const FIGURES = [
  {
    id: 'events',
    label: 'Events',
    of: (point) => point.events,
    show: rate,
    exact: (value) => `${full(value)} events a second`,
    now: (view) => view.rates.events,
    fine: 'handled by agents',
  },
  {
    id: 'sent',
    label: 'Records sent',
    of: (point) => point.sent,
    show: rate,
    exact: (value) => `${full(value)} records a second`,
    now: (view) => view.rates.sent,
    fine: 'changelogs included',
  },
  {
    id: 'lag',
    label: 'Lag',
    of: (point) => point.lag,
    show: short,
    exact: (value) => `${full(value)} records behind`,
    now: (view) => view.lag,
    fine: 'records behind the end',
  },
  {
    id: 'commit',
    label: 'Last commit',
    of: (point) => point.commitAgeMs,
    show: (ms) => (ms === null || ms === undefined ? 'none yet' : `${duration(ms)} ago`),
    exact: (ms) => (ms === null ? 'nothing committed yet' : `${full(ms)} ms ago`),
    now: (view) => view.point?.commitAgeMs,
    fine: (view) => (view.commit === undefined ? 'nothing to commit yet' : `took ${duration(view.commit.lastMs)}`),
  },
  {
    id: 'errors',
    label: 'Errors',
    of: (point) => point.errors,
    show: short,
    exact: (value) => `${full(value)} in the last five minutes`,
    now: (view) => view.errors,
    fine: 'in the last 5 minutes',
  },
]

/** Cards with a number, five minutes of it as a line, and words under it when it is bad. */
export class Figures {
  #points = []
  #view
  #cards = FIGURES.map((figure) => makeCard(figure, () => this.#points))

  constructor() {
    byId('figures').append(...this.#cards.map(({ node }) => node))
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw())
  }

  history(points) {
    this.#points = points.slice(-KEPT)
    this.#redraw()
  }

  show(view) {
    this.#view = view
    const last = this.#points.at(-1)
    if (view.point !== undefined && view.point.at > (last?.at ?? 0)) {
      this.#points.push(view.point)
      if (this.#points.length > KEPT) this.#points.shift()
    }
    for (const card of this.#cards) card.update(view)
  }

  #redraw() {
    for (const card of this.#cards) card.draw(true)
    if (this.#view !== undefined) for (const card of this.#cards) card.update(this.#view)
  }
}

function makeCard(figure, points) {
  const value = el('p', { class: 'value', id: `figure-${figure.id}` }, '–')
  const words = el('p', { class: 'words' }, 'waiting for the worker')
  const chart = el('div', { class: 'spark', 'aria-hidden': 'true' })
  const node = el(
    'article',
    { class: 'figure', 'aria-labelledby': `figure-${figure.id}-name` },
    el('h2', { id: `figure-${figure.id}-name` }, figure.label),
    value,
    chart,
    words,
  )
  let plot
  let hovered
  let current

  const show = () => {
    if (current === undefined) return
    const point = hovered === undefined ? undefined : points()[hovered]
    if (point === undefined) {
      const now = figure.now(current)
      setText(value, figure.show(now), figure.exact(now ?? null))
    } else
      setText(
        value,
        figure.show(figure.of(point)),
        `${figure.exact(figure.of(point))}, ${new Date(point.at).toISOString()}`,
      )
    const problem = current.problems.find((each) => each.figure === figure.id)
    setAttribute(node, 'data-level', problem?.level)
    const fine = typeof figure.fine === 'function' ? figure.fine(current) : figure.fine
    const text = point === undefined ? (problem?.text.replaceAll('`', '') ?? fine) : `at ${when(point.at)}`
    setText(words, text, text)
  }

  const draw = (anew = false) => {
    if (globalThis.uPlot === undefined) return
    const width = Math.floor(chart.clientWidth)
    const data = [points().map(({ at }) => at / 1000), points().map((point) => figure.of(point))]
    if (width === 0) return
    if (anew) {
      plot?.destroy()
      plot = undefined
    }
    if (plot === undefined) {
      plot = new globalThis.uPlot(
        options(width, chart.clientHeight, (index) => {
          hovered = index
          show()
        }),
        data,
        chart,
      )
    } else plot.setData(data)
  }

  new ResizeObserver(() => {
    if (plot === undefined) draw()
    else plot.setSize({ width: Math.floor(chart.clientWidth), height: chart.clientHeight })
  }).observe(chart)

  return {
    node,
    draw,
    update(view) {
      current = view
      draw()
      show()
    },
  }
}

function options(width, height, onHover) {
  const style = getComputedStyle(document.documentElement)
  const line = style.getPropertyValue('--line').trim()
  const area = style.getPropertyValue('--area').trim()
  return {
    width,
    height,
    padding: [4, 0, 2, 0],
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
    scales: {
      // Five minutes wide from the start, so that nothing stretches while the history fills.
      x: { time: true, range: (_, min, max) => [Math.min(min ?? max, max - KEPT), max ?? KEPT] },
      y: { range: (_, min, max) => [0, Math.max(max ?? 0, 1) * 1.08] },
    },
    series: [{}, { stroke: line, fill: area, width: 1.5, points: { show: false }, spanGaps: true }],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.left >= 0 ? (plot.cursor.idx ?? undefined) : undefined)] },
  }
}
