import { askJson, Letters, post, setUpLookup, showLookupTables } from './actions.js'
import { byId, el, keyed, setAttribute, setText } from './dom.js'
import { Figures } from './figures.js'
import { emptyFlow, Flow } from './flow.js'
import { duration, full, plural, when } from './format.js'
import { mergeHistories, mergeWorkers, placeOf } from './merge.js'
import { applyPatch } from './patch.js'
import { agentSheet, jobSheet, showPartitions, tableSheet } from './tables.js'
import { Topics } from './topics.js'
import { showTime, timeRows, timeSheet } from './windows.js'

/** A worker that says nothing for so long is taken for lost. */
const SILENCE_MS = 4000

const page = {
  of: 'worker',
  selected: undefined,
  state: undefined,
  view: undefined,
  index: undefined,
  heardAt: 0,
  help: new Map(),
}
const canAct = () => page.index?.admin ?? { on: false, reason: 'The worker has not said yet.' }

const figures = new Figures()
const flow = new Flow((id) => select(id === page.selected ? undefined : id))
const agents = agentSheet({ canAct, act: (agent, verb) => actOn('agent', agent, verb) })
const tables = tableSheet()
const time = timeSheet()
const letters = new Letters(canAct)
const topics = new Topics(canAct)
const jobs = jobSheet({ canAct, where: () => page.of, act: (job, verb) => actOn('jobs', job, verb) })
let source

setUpLookup()
readAddress()
for (const of of ['worker', 'app']) byId(`of-${of}`).addEventListener('click', () => change({ of }))
addEventListener('popstate', () => {
  readAddress()
  connect()
})
setInterval(checkLink, 1000)
connect()

/** What is shown is in the address, so that it can be sent to somebody. */
function readAddress() {
  const query = new URLSearchParams(location.search)
  page.of = query.get('of') === 'app' ? 'app' : 'worker'
  page.selected = query.get('node') ?? undefined
}

function change({ of = page.of, selected = page.selected }) {
  const moved = of !== page.of
  page.of = of
  page.selected = selected
  const query = new URLSearchParams()
  if (of === 'app') query.set('of', 'app')
  if (selected !== undefined) query.set('node', selected)
  const text = query.toString()
  history.replaceState(null, '', text === '' ? location.pathname : `?${text}`)
  if (moved) connect()
}

function select(id) {
  page.selected = id
  change({ selected: id })
  show()
}

function connect() {
  source?.close()
  page.state = undefined
  for (const of of ['worker', 'app']) byId(`of-${of}`).setAttribute('aria-pressed', String(of === page.of))
  const query = page.of === 'app' ? '?of=app' : ''
  source = new EventSource(`/live/${query}`)
  source.addEventListener('state', ({ data }) => {
    void refresh(query)
    hear(JSON.parse(data))
  })
  source.addEventListener('change', ({ data }) => hear(applyPatch(page.state, JSON.parse(data))))
  source.addEventListener('error', () => {
    page.heardAt = 0
    checkLink()
    // The browser gives up on answers that are no streams, such as 503 while a worker starts.
    if (source.readyState === EventSource.CLOSED)
      setTimeout(() => source.readyState === EventSource.CLOSED && connect(), 1000)
  })
}

/** What changes with a deployment rather than every second; asked for again whenever the connection is new. */
async function refresh(query) {
  try {
    const [index, graph, histories] = await Promise.all([
      askJson('/dashboard/'),
      askJson('/graph/'),
      askJson(`/history/${query}`),
    ])
    page.index = index
    await topics.refresh()
    page.help = new Map(graph.nodes.map(({ id, help }) => [id, help]))
    figures.history(mergeHistories(histories.workers))
    flow.graph = graph
    if (graph.nodes.length === 0) byId('flow').replaceChildren(emptyFlow())
    show()
  } catch (error) {
    setText(byId('link'), error.message)
  }
}

function hear(state) {
  page.state = state
  page.heardAt = Date.now()
  checkLink()
  page.view = mergeWorkers(state.workers)
  show()
}

/** Says so when the connection is lost, and when it is back. */
function checkLink() {
  const lost = Date.now() - page.heardAt > SILENCE_MS
  const link = byId('link')
  setAttribute(link, 'data-state', lost ? 'lost' : 'live')
  setText(link, lost ? (page.view === undefined ? 'connecting …' : 'connection lost, trying again …') : 'live')
  setAttribute(document.body, 'data-stale', lost && page.view !== undefined)
}

function show() {
  const { view } = page
  if (view === undefined) return
  showHeader(view)
  figures.show(view)
  showProblems(view)
  flow.select(page.selected)
  flow.show(view)
  const around = page.selected === undefined ? undefined : flow.around(page.selected)
  const isVisible = (kind, name) => around === undefined || around.has(`${kind}:${name}`)
  const withHelp = (kind) => (each) => ({ ...each, help: page.help.get(`${kind}:${each.name}`) ?? '' })
  agents.show(
    view.agents
      .filter(({ name }) => isVisible('agent', name))
      .map(withHelp('agent'))
      .map((agent) => ({ ...agent, partitions: lagsOf(view, agent.name) })),
  )
  tables.show(view.tables.filter(({ name }) => isVisible('table', name)).map(withHelp('table')))
  showTime(
    time,
    timeRows(view)
      .filter(({ kind, table }) => isVisible(kind === 'topic' ? 'topic' : 'table', table))
      .map((row) => ({ ...row, help: page.help.get(`table:${row.table}`) ?? '' })),
  )
  jobs.show(view.jobs)
  showPartitions(view, around && new Set([...around].flatMap((id) => (id.startsWith('topic:') ? [id.slice(6)] : []))))
  showLookupTables(view.tables.map(({ name }) => name))
  letters.show(view.agents.reduce((sum, { deadLettered }) => sum + deadLettered, 0))
  showFilter()
}

function lagsOf({ sources }, agent) {
  return sources
    .flatMap(({ topic, partition, lags }) =>
      lags !== undefined && Object.hasOwn(lags, agent) ? [{ topic, partition, lag: lags[agent] }] : [],
    )
    .toSorted((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}

const WORDS = {
  starting: 'starting: looking for the broker',
  recovering: 'recovering tables',
  running: 'running',
  stopping: 'stopping: finishing what is in flight',
  stopped: 'stopped',
  failed: 'failed: see the log',
}

function showHeader(view) {
  const { stats } = view.self
  setText(byId('app'), stats.app)
  const title = `${stats.app} · Millrace`
  if (document.title !== title) document.title = title
  setText(byId('status'), WORDS[view.status] ?? view.status)
  setAttribute(byId('status'), 'data-status', view.status)
  const { worker } = stats
  const started = Math.min(
    ...view.workers.flatMap((each) => (each.answers ? [Date.parse(each.stats.worker.startedAt)] : [])),
  )
  const answering = view.workers.length - view.silent.length
  const facts = [
    page.of === 'app' || view.several
      ? [
          page.of === 'app' ? 'Workers' : 'Processes',
          view.silent.length === 0 ? full(answering) : `${answering} of ${view.workers.length} answer`,
          view.workers
            .map((each) => (each.answers ? placeOf(each.stats, each.id) : `${each.address ?? each.id}: ${each.error}`))
            .join('\n'),
        ]
      : ['Worker', placeOf(stats, worker.id), `${worker.id}, process ${worker.pid}`],
    ['Up', duration(Math.max(Date.now() - started, 0)).replace(/ \d+ s$/, ''), new Date(started).toISOString()],
    ['Version', worker.version, ''],
    ['Broker', stats.broker, stats.broker],
    ['Guarantee', stats.guarantee.replaceAll('-', ' '), ''],
  ]
  keyed(byId('facts'), facts, {
    keyOf: ([name]) => name,
    make: ([name]) => el('div', {}, el('dt', {}, name), el('dd')),
    update: (node, [, value, hint]) => setText(node.lastElementChild, value, hint),
  })
}

function showProblems(view) {
  const silent = view.silent.map(({ id, address, error }) => ({
    // One that was told to serve no site is not broken.
    level: address === undefined ? 'warn' : 'bad',
    text: address === undefined ? `Worker ${id}: ${error}` : `Worker ${address} does not answer: ${error}`,
  }))
  const status =
    view.status === 'running' ? [] : [{ level: 'warn', text: `The worker is ${WORDS[view.status] ?? view.status}.` }]
  const problems = [...silent, ...status, ...view.problems].slice(0, 8)
  const seen = new Map()
  const list =
    problems.length === 0
      ? [
          {
            level: 'good',
            text: `Nothing is wrong: ${view.agents.length === 0 ? 'there is no agent' : plural(view.agents.length, 'agent')}, no errors, keeping up.`,
          },
        ]
      : problems
  keyed(byId('problems'), list, {
    // The words change every second; what they are about does not.
    keyOf: ({ level, figure, node, worker, text }) => {
      const about = JSON.stringify([level, figure, node, worker, figure === undefined ? text : ''])
      seen.set(about, (seen.get(about) ?? 0) + 1)
      return `${about} ${seen.get(about)}`
    },
    make: ({ node }) =>
      el(
        'p',
        { class: 'problem' },
        el('span', { class: 'sign', 'aria-hidden': 'true' }),
        el('span', {}),
        node === undefined
          ? undefined
          : el('button', { type: 'button', class: 'plain', onclick: () => select(node) }, 'show'),
      ),
    update: (child, { level, text, worker }) => {
      setAttribute(child, 'data-level', level)
      setText(child.children[0], { good: '✔', warn: '▲', bad: '✖' }[level])
      setText(child.children[1], `${worker === undefined ? '' : `${worker}: `}${text.replaceAll('`', '')}`)
    },
  })
}

function showFilter() {
  const place = byId('filter')
  const node = page.selected === undefined ? undefined : flow.nodes.find(({ id }) => id === page.selected)
  const text = node === undefined ? '' : `Only what belongs to ${node.kind} ${node.name}`
  if (place.dataset.shown === text) return
  place.dataset.shown = text
  place.replaceChildren(
    ...(node === undefined
      ? [el('span', { class: 'quiet' }, 'Click a node to see only what belongs to it.')]
      : [el('span', {}, text), el('button', { type: 'button', onclick: () => select(undefined) }, 'Show all')]),
  )
}

/** `kind`: `agent` or `jobs`, as in the path. */
async function actOn(kind, name, verb) {
  const note = byId(`${kind}-note`)
  setText(note, `${name}: …`)
  try {
    const { result, error } = await post(`/${kind}/${encodeURIComponent(name)}/${verb}/`)
    setText(note, `${name}: ${result}${error === undefined ? '' : ` (${error})`}, ${when(Date.now())}`)
  } catch (error) {
    setText(note, `${name}: ${error.message}`)
  }
}
