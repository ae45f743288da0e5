import { full, rate } from './format.js'
import { byId, el, setAttribute, setText, svg } from './dom.js'

const HEIGHT = 58
/** A node is as wide as there is room for. */
const WIDTH = { least: 140, most: 194 }
/** Between two columns, for the label of an edge. */
const GAP = 76
const KINDS = { topic: 'topic', agent: 'agent', table: 'table' }

/** Draws topics, agents and tables and what flows between them; a click selects a node. */
export class Flow {
  #graph = { nodes: [], edges: [] }
  #shape = ''
  #drawn
  #selected
  #onSelect
  #view

  constructor(onSelect) {
    this.#onSelect = onSelect
    new ResizeObserver(() => this.#redraw()).observe(byId('flow'))
  }

  set graph(graph) {
    this.#graph = graph
    this.#redraw()
  }

  select(id) {
    this.#selected = id
    this.#mark()
  }

  show(view) {
    this.#view = view
    this.#redraw()
    this.#mark()
  }

  /** Nodes that the page knows: those of the graph, and those that events were seen to go to. */
  get nodes() {
    return withSeen(this.#graph, this.#view?.flows ?? []).nodes
  }

  /** Ids of a node and all next to it. */
  around(id) {
    const { edges } = withSeen(this.#graph, this.#view?.flows ?? [])
    return new Set([id, ...edges.flatMap(({ from, to }) => (from === id ? [to] : to === id ? [from] : []))])
  }

  #redraw() {
    const place = byId('flow')
    const graph = withSeen(this.#graph, this.#view?.flows ?? [])
    if (graph.nodes.length === 0) return
    const downwards = place.clientWidth < 640
    const shape = JSON.stringify([
      graph.nodes.map(({ id }) => id),
      graph.edges,
      downwards,
      Math.floor(place.clientWidth / 40),
    ])
    if (shape === this.#shape) return
    this.#shape = shape
    const layout = layOut(graph, { downwards, room: place.clientWidth })
    this.#drawn = draw(layout, (id) => this.#onSelect(id))
    place.replaceChildren(this.#drawn.node)
    if (this.#view !== undefined) this.#mark()
  }

  #mark() {
    const { nodes, edges } = this.#drawn ?? { nodes: new Map(), edges: [] }
    const around = this.#selected === undefined ? undefined : this.around(this.#selected)
    const rates = new Map((this.#view?.flows ?? []).map((flow) => [`${flow.from} ${flow.to}`, flow]))
    for (const { from, to, path, label, text } of edges) {
      const flow = rates.get(`${from} ${to}`)
      const perSecond = flow?.perSecond
      setText(text, perSecond === undefined ? '' : rate(perSecond))
      setText(
        label.querySelector('title'),
        flow === undefined ? 'Nothing seen yet.' : `${full(perSecond)} records a second, ${full(flow.records)} in all`,
      )
      setAttribute(label, 'data-empty', perSecond === undefined)
      setAttribute(path, 'data-moves', (perSecond ?? 0) > 0)
      const faded = around !== undefined && from !== this.#selected && to !== this.#selected
      setAttribute(path, 'data-faded', faded)
      setAttribute(label, 'data-faded', faded)
    }
    for (const [id, { node, badge, badgeText }] of nodes) {
      const problem = this.#view?.problems.find((each) => each.node === id)
      setAttribute(node, 'data-level', problem?.level)
      setAttribute(badge, 'visibility', problem === undefined ? 'hidden' : 'visible')
      setText(
        badgeText,
        problem === undefined ? '' : `${problem.level === 'bad' ? '✖' : '▲'} ${WORDS[problem.figure] ?? 'look'}`,
      )
      setAttribute(node, 'aria-pressed', String(id === this.#selected))
      setAttribute(node, 'data-faded', around !== undefined && !around.has(id))
    }
  }
}

/** One word on a node that something is wrong with. */
const WORDS = { events: 'stuck', commit: 'stuck', lag: 'behind', errors: 'failing', sent: 'slow' }

function withSeen(graph, flows) {
  const nodes = [...graph.nodes]
  const known = new Set(nodes.map(({ id }) => id))
  const edges = new Map(graph.edges.map((edge) => [`${edge.from} ${edge.to}`, edge]))
  for (const { from, to } of flows) {
    for (const id of [from, to]) {
      if (known.has(id)) continue
      known.add(id)
      const kind = id.slice(0, id.indexOf(':'))
      nodes.push({ id, kind, name: id.slice(kind.length + 1), help: '', internal: true })
    }
    edges.set(`${from} ${to}`, { from, to })
  }
  return { nodes, edges: [...edges.values()].map(({ from, to }) => ({ from, to })) }
}

/** Columns by the longest way from a source; within one, by the places of the neighbours. Ways back are drawn, not counted. */
export function layOut({ nodes, edges }, { downwards, room }) {
  const ids = nodes.map(({ id }) => id)
  const forward = withoutRings(ids, edges)
  const column = new Map(ids.map((id) => [id, 0]))
  for (let round = 0; round < ids.length; round++) {
    let moved = false
    for (const { from, to } of forward) {
      if (column.get(to) > column.get(from)) continue
      column.set(to, column.get(from) + 1)
      moved = true
    }
    if (!moved) break
  }
  const columns = []
  for (const node of nodes) (columns[column.get(node.id)] ??= []).push(node)
  const order = new Map()
  const number = () =>
    columns.forEach((each) => each.forEach(({ id }, at) => order.set(id, at - (each.length - 1) / 2)))
  number()
  for (let round = 0; round < 4; round++) {
    for (const each of columns) {
      const weight = new Map(
        each.map(({ id }) => {
          const near = edges.flatMap(({ from, to }) =>
            from === id ? [order.get(to)] : to === id ? [order.get(from)] : [],
          )
          return [id, near.length === 0 ? order.get(id) : near.reduce((sum, at) => sum + at, 0) / near.length]
        }),
      )
      each.sort((a, b) => weight.get(a.id) - weight.get(b.id))
    }
    number()
  }
  const longest = Math.max(...columns.map((each) => each.length))
  const beside = downwards ? longest : columns.length
  const gap = downwards ? 14 : GAP
  const nodeWidth = clamp((room - 36 - (beside - 1) * gap) / beside, WIDTH.least, WIDTH.most)
  const along = downwards
    ? HEIGHT + 46
    : clamp((room - nodeWidth - 36) / Math.max(columns.length - 1, 1), nodeWidth + GAP, nodeWidth + 220)
  const across = downwards ? nodeWidth + gap : HEIGHT + 26
  const places = new Map()
  columns.forEach((each, at) =>
    each.forEach(({ id }, index) => {
      const offset = (index - (each.length - 1) / 2 + (longest - 1) / 2) * across
      places.set(id, downwards ? { x: offset + 8, y: at * along + 12 } : { x: at * along + 8, y: offset + 16 })
    }),
  )
  return {
    nodes: nodes.map((node) => ({ ...node, ...places.get(node.id) })),
    edges: edges.map((edge) => ({ ...edge, start: places.get(edge.from), end: places.get(edge.to) })),
    downwards,
    nodeWidth,
    width: (downwards ? (longest - 1) * across : (columns.length - 1) * along) + nodeWidth + 16,
    height: (downwards ? (columns.length - 1) * along : (longest - 1) * across) + HEIGHT + 32,
  }
}

/** The edges without those that lead back to where they came from. */
function withoutRings(ids, edges) {
  const state = new Map()
  const kept = []
  const visit = (id) => {
    state.set(id, 'open')
    for (const edge of edges) {
      if (edge.from !== id) continue
      if (state.get(edge.to) === 'open') continue
      kept.push(edge)
      if (!state.has(edge.to)) visit(edge.to)
    }
    state.set(id, 'done')
  }
  const targets = new Set(edges.map(({ to }) => to))
  for (const id of [...ids.filter((each) => !targets.has(each)), ...ids]) if (!state.has(id)) visit(id)
  return kept
}

function draw(layout, onSelect) {
  const { width, height, nodeWidth } = layout
  const root = svg('svg', {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: 'group',
    'aria-label': 'Topics, agents and tables, and what flows between them',
  })
  const edges = layout.edges.map((edge) => drawEdge(edge, layout))
  root.append(...edges.map(({ path }) => path))
  const nodes = new Map()
  for (const node of layout.nodes) {
    const drawn = drawNode(node, nodeWidth)
    drawn.node.addEventListener('click', () => onSelect(node.id))
    drawn.node.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return
      event.preventDefault()
      onSelect(node.id)
    })
    nodes.set(node.id, drawn)
  }
  root.append(...edges.map(({ label }) => label), ...[...nodes.values()].map(({ node }) => node))
  return { node: root, nodes, edges }
}

function drawEdge({ from, to, start, end }, { downwards, nodeWidth }) {
  const back = downwards ? end.y <= start.y : end.x <= start.x
  const a = downwards
    ? { x: start.x + nodeWidth / 2, y: start.y + HEIGHT }
    : { x: start.x + nodeWidth, y: start.y + HEIGHT / 2 }
  const b = downwards ? { x: end.x + nodeWidth / 2, y: end.y } : { x: end.x, y: end.y + HEIGHT / 2 }
  const reach = back ? 90 : Math.max((downwards ? b.y - a.y : b.x - a.x) / 2, 20)
  const d = downwards
    ? `M${a.x} ${a.y}C${a.x + (back ? 120 : 0)} ${a.y + reach} ${b.x + (back ? 120 : 0)} ${b.y - reach} ${b.x} ${b.y - 2}`
    : `M${a.x} ${a.y}C${a.x + reach} ${a.y + (back ? 60 : 0)} ${b.x - reach} ${b.y + (back ? 60 : 0)} ${b.x - 2} ${b.y}`
  const path = svg('path', { d, class: 'edge', 'marker-end': 'url(#arrow)' })
  const text = svg('text', { 'text-anchor': 'middle', y: 4 })
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 + (back ? (downwards ? 0 : 45) : 0) }
  const label = svg(
    'g',
    { class: 'edge-label', transform: `translate(${middle.x} ${middle.y})` },
    svg('title'),
    svg('rect', { x: -34, y: -10, width: 68, height: 20, rx: 10 }),
    text,
  )
  return { from, to, path, label, text }
}

function drawNode({ id, kind, name, help, internal, x, y }, nodeWidth) {
  const badgeText = svg('text', { x: nodeWidth - 38, y: 4, 'text-anchor': 'middle' })
  const badge = svg(
    'g',
    { class: 'badge', visibility: 'hidden' },
    svg('rect', { x: nodeWidth - 74, y: -9, width: 72, height: 18, rx: 3 }),
    badgeText,
  )
  const title = svg(
    'title',
    {},
    [`${KINDS[kind] ?? kind} ${name}`, help, internal ? 'made by Millrace' : '']
      .filter((each) => each !== '')
      .join('\n'),
  )
  const node = svg(
    'g',
    {
      class: `node ${kind}${internal ? ' internal' : ''}`,
      transform: `translate(${x} ${y})`,
      tabindex: 0,
      role: 'button',
      'aria-pressed': 'false',
      'aria-label': `${kind} ${name}: show only what belongs to it`,
      'data-id': id,
    },
    title,
    outline(kind, nodeWidth),
    svg('text', { class: 'kind', x: 14, y: kind === 'table' ? 29 : 23 }, internal ? `${kind}, internal` : kind),
    svg(
      'text',
      { class: 'name', x: 14, y: kind === 'table' ? 46 : 42 },
      fit(name, nodeWidth - (kind === 'topic' ? 36 : 26)),
    ),
    badge,
  )
  return { node, badge, badgeText }
}

/** A shape for each kind: a log with its end open, a rounded box, a drum. */
function outline(kind, width) {
  const height = HEIGHT
  if (kind === 'agent') return svg('rect', { class: 'box', width, height, rx: 14 })
  if (kind === 'topic')
    return svg('path', { class: 'box', d: `M0 0H${width - 12}L${width} ${height / 2}L${width - 12} ${height}H0z` })
  return svg(
    'g',
    { class: 'box' },
    svg('path', { d: `M0 7V${height - 7}a${width / 2} 7 0 0 0 ${width} 0V7` }),
    svg('ellipse', { cx: width / 2, cy: 7, rx: width / 2, ry: 7 }),
  )
}

/** What is left out of a long name is its middle: names of one app begin alike. */
function fit(name, width) {
  const room = Math.floor(width / 7.7)
  if (name.length <= room) return name
  const head = Math.floor((room - 1) * 0.4)
  return `${name.slice(0, head)}…${name.slice(name.length - (room - 1 - head))}`
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most)
}

/** Shown before there is a graph, as large as a small one. */
export function emptyFlow() {
  return el('p', { class: 'empty' }, 'No agent yet. Declare one with app.agent(…) and it is drawn here.')
}
