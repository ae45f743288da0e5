import { bytes, duration, full, plural, rate, short, when, whenIn } from './format.js'
import { byId, el, keyed, setAttribute, setText } from './dom.js'

/** A sheet of rows: columns are `{ name, title?, kind?, make?, update(cell, item) }`; on a phone each row is a card. */
export class Sheet {
  #place
  #columns
  #empty
  #body

  constructor(id, columns, empty) {
    this.#place = byId(id)
    this.#columns = columns
    this.#empty = empty
  }

  show(items) {
    if (items.length === 0) {
      this.#body = undefined
      if (this.#place.firstElementChild?.className !== 'empty')
        this.#place.replaceChildren(el('p', { class: 'empty' }, ...this.#empty()))
      return
    }
    if (this.#body === undefined) this.#begin()
    keyed(this.#body, items, {
      keyOf: ({ name }) => name,
      make: (item) =>
        el(
          'tr',
          {},
          ...this.#columns.map(({ name, kind = '', make }, at) => {
            const cell = el(at === 0 ? 'th' : 'td', {
              class: kind,
              'data-label': name,
              ...(at === 0 ? { scope: 'row' } : {}),
            })
            make?.(cell, item)
            return cell
          }),
        ),
      update: (row, item) => this.#columns.forEach(({ update }, at) => update(row.children[at], item)),
    })
  }

  #begin() {
    this.#body = el('tbody')
    const head = this.#columns.map(({ name, title, kind = '' }) => el('th', { scope: 'col', class: kind, title }, name))
    this.#place.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ...head)), this.#body))
  }
}

export const number = (name, of, title) => ({
  name,
  title,
  kind: 'number',
  update: (cell, item) => setText(cell, short(of(item)), full(of(item))),
})
const perSecond = (name, of) => ({
  name,
  kind: 'number',
  update: (cell, item) => setText(cell, rate(of(item)), `${full(of(item))} a second`),
})

const time = (name, of, title) => ({
  name,
  title,
  kind: 'number',
  update: (cell, agent) => setText(cell, duration(of(agent)), times(of(agent), agent.samples)),
})

export function agentSheet({ act, canAct }) {
  return new Sheet(
    'agents',
    [
      { name: 'Agent', update: (cell, { name, help }) => setText(cell, name, help) },
      {
        name: 'State',
        update: (cell, { paused }) => {
          setText(cell, paused === undefined ? '' : 'paused', paused === undefined ? '' : pauseWords(paused))
          setAttribute(cell, 'data-level', paused === undefined ? undefined : 'warn')
        },
      },
      perSecond('Events', ({ perSecond: events }) => events),
      number('Received', ({ received }) => received, 'Events handed out, since the worker started'),
      {
        name: 'In flight',
        kind: 'number',
        title: 'Events in flight, of instances',
        update: (cell, { active, concurrency }) =>
          setText(
            cell,
            `${short(active)} / ${concurrency}`,
            `${plural(active, 'event')} in flight, ${plural(concurrency, 'instance')}`,
          ),
      },
      time('p50', ({ p50Ms }) => p50Ms, 'Half of the events take no longer'),
      time('p99', ({ p99Ms }) => p99Ms, 'Of 100 events, 99 take no longer'),
      number('Retried', ({ retried }) => retried),
      {
        name: 'Dead letters',
        kind: 'number',
        update: (cell, { deadLettered }) => {
          setText(cell, short(deadLettered), full(deadLettered))
          setAttribute(cell, 'data-level', deadLettered > 0 ? 'warn' : undefined)
        },
      },
      {
        name: 'Lag',
        kind: 'number',
        update: (cell, { lag }) => setText(cell, short(lag), `${full(lag)} records behind`),
      },
      {
        name: 'Lag per partition',
        kind: 'bars',
        make: (cell) => cell.append(el('div', { class: 'bars' })),
        update: showBars,
      },
      {
        name: 'Actions',
        kind: 'actions',
        make: (cell) => cell.append(rowButton('Pause', 'pause', act)),
        update: (cell, { paused }) => showPause(cell.firstElementChild, paused !== undefined, canAct()),
      },
    ],
    () => ['No agent yet. Declare one with app.agent(…).'],
  )
}

function pauseWords({ since, by, why }) {
  const who = by === undefined ? '' : ` by ${by}`
  return `On every worker since ${since}${who}, until it is resumed${why === undefined ? '' : `: ${why}`}`
}

/** A button of a row: `act` gets the row's key and the verb. */
function rowButton(words, verb, act) {
  return el(
    'button',
    {
      type: 'button',
      'data-verb': verb,
      onclick: (event) => act(event.currentTarget.closest('tr').dataset.key, event.currentTarget.dataset.verb),
    },
    words,
  )
}

function showPause(button, paused, admin) {
  allow(button, admin)
  setText(button, paused ? 'Resume' : 'Pause')
  button.dataset.verb = paused ? 'resume' : 'pause'
}

/** For those who may act; says why it cannot be pressed. */
function allow(button, admin) {
  button.disabled = !admin.on
  setAttribute(button, 'title', admin.on ? '' : admin.reason)
}

function times(ms, samples) {
  return ms === undefined
    ? 'Nothing was handled in the last minute.'
    : `${Number(ms.toPrecision(3))} ms, of ${plural(samples, 'event')} timed in the last minute`
}

/** One bar a partition; the highest is as high as there is room. */
function showBars(cell, { partitions }) {
  const most = Math.max(1, ...partitions.map(({ lag }) => lag))
  keyed(cell.firstElementChild, partitions, {
    keyOf: ({ topic, partition }) => `${topic}/${partition}`,
    make: () => el('i', {}),
    update: (bar, { topic, partition, lag }) => {
      bar.style.setProperty('--share', String(lag / most))
      setAttribute(bar, 'title', `${topic}/${partition}: ${full(lag)} records behind`)
      setAttribute(bar, 'data-some', lag > 0)
    },
  })
}

export function tableSheet() {
  return new Sheet(
    'tables',
    [
      { name: 'Table', update: (cell, { name, help }) => setText(cell, name, help) },
      { name: 'Kind', update: (cell, { kind }) => setText(cell, kind) },
      number('Rows', ({ rows }) => rows),
      {
        name: 'Partitions',
        kind: 'number',
        update: (cell, { kind, partitions }) =>
          setText(
            cell,
            kind === 'global' ? 'all' : String(partitions.length),
            kind === 'global' ? 'Every worker has all of it.' : `Partitions ${partitions.join(', ')}`,
          ),
      },
      perSecond('Reads', ({ readsPerSecond }) => readsPerSecond),
      perSecond('Writes', ({ writesPerSecond }) => writesPerSecond),
      {
        name: 'In memory',
        kind: 'number',
        title: 'Rough size of decoded rows in memory',
        update: (cell, { cachedBytes }) => setText(cell, bytes(cachedBytes), `${full(cachedBytes)} bytes`),
      },
      {
        name: 'Recovery',
        kind: 'recovery',
        make: (cell) => cell.append(el('progress', { max: 1, value: 1 }), el('span')),
        update: showRecovery,
      },
    ],
    () => ['No table yet. Keep state with app.table(…).'],
  )
}

function showRecovery(cell, { recovery: { state, restoredRows, remainingRows, rowsPerSecond }, kind }) {
  const [bar, words] = cell.children
  const total = restoredRows + remainingRows
  bar.value = state === 'recovering' ? restoredRows / Math.max(total, 1) : 1
  bar.hidden = state !== 'recovering'
  const share = Math.floor((restoredRows / Math.max(total, 1)) * 100)
  const left = rowsPerSecond > 0 ? `, ${duration((remainingRows / rowsPerSecond) * 1000)} left` : ''
  if (state === 'recovering')
    setText(
      words,
      `recovering ${share}% at ${rate(rowsPerSecond)}${left}`,
      `${full(restoredRows)} rows restored, at most ${full(remainingRows)} to go`,
    )
  else if (state === 'done')
    setText(words, restoredRows > 0 ? `recovered, ${plural(restoredRows, 'row')}` : 'up to date', '')
  else setText(words, kind === 'global' ? 'read from its topic' : 'not on this worker', '')
}

export function jobSheet({ act, canAct, where }) {
  return new Sheet(
    'jobs',
    [
      { name: 'Job', update: (cell, { name, schedule, kind }) => setText(cell, name, `${kind} ${schedule}`) },
      {
        name: 'When',
        update: (cell, { kind, schedule, timezone }) =>
          setText(
            cell,
            kind === 'task' ? 'at start' : kind === 'timer' ? `every ${schedule}` : schedule,
            timezone ?? '',
          ),
      },
      {
        name: 'State',
        update: (cell, { state, paused }) => {
          // The pause is the app's; a run under way goes on all the same.
          const shown = paused === true && state !== 'running' ? 'paused' : state
          setText(cell, shown.replaceAll('-', ' '), shown === 'paused' ? 'On every worker, until it is resumed' : '')
          setAttribute(
            cell,
            'data-level',
            shown === 'waiting-for-leader' || shown === 'elsewhere' ? 'quiet' : shown === 'paused' ? 'warn' : undefined,
          )
        },
      },
      {
        name: 'Next run',
        kind: 'time',
        make: (cell) => cell.append(el('span'), el('small')),
        update: (cell, { nextRun, timezone }) => {
          const there = nextRun === undefined || timezone === undefined ? undefined : whenIn(nextRun, timezone)
          setText(cell.firstElementChild, nextRun === undefined ? '–' : when(nextRun), nextRun ?? '')
          setText(cell.lastElementChild, there === undefined ? '' : `${there} in ${zoneName(timezone)}`, timezone ?? '')
        },
      },
      {
        name: 'Last run',
        kind: 'time',
        make: (cell) => cell.append(el('span'), el('small')),
        update: (cell, { lastRun, lastError }) => {
          const failed = lastRun?.result !== undefined && lastRun.result !== 'done' && lastRun.result !== 'cut-short'
          setText(
            cell.firstElementChild,
            lastRun === undefined ? '–' : when(lastRun.startedAt),
            lastRun?.startedAt ?? '',
          )
          setText(
            cell.lastElementChild,
            lastRun?.result === undefined
              ? ''
              : `${failed ? '✖ ' : ''}${lastRun.result} in ${duration(lastRun.durationMs)}`,
            failed ? (lastError?.message ?? '') : '',
          )
          setAttribute(cell.lastElementChild, 'data-level', failed ? 'bad' : undefined)
        },
      },
      {
        name: 'Runs',
        kind: 'number',
        title: 'Slots are skipped when the job still runs, is paused, or the worker was away',
        make: (cell) => cell.append(el('span'), el('small')),
        update: (cell, { runs, failures, skipped, lastError }) => {
          setText(cell.firstElementChild, short(runs), plural(runs, 'run'))
          const words = [
            failures > 0 ? `${short(failures)} failed` : '',
            skipped > 0 ? `${short(skipped)} skipped` : '',
          ]
          setText(cell.lastElementChild, words.filter((each) => each !== '').join(', '), lastError?.message ?? '')
        },
      },
      {
        name: 'Runs on',
        kind: 'place',
        update: (cell, { onLeader, leader }) =>
          setText(
            cell,
            onLeader
              ? leader === undefined
                ? 'the leader, and nobody leads'
                : `leader ${leader}`
              : where() === 'app'
                ? 'every worker'
                : 'this worker',
          ),
      },
      {
        name: 'Actions',
        kind: 'actions',
        make: (cell) => cell.append(rowButton('Run now', 'run', act), rowButton('Pause', 'pause', act)),
        update: (cell, { paused }) => {
          const [run, pause] = cell.children
          allow(run, canAct())
          showPause(pause, paused === true, canAct())
        },
      },
    ],
    () => ['No job. Tasks, timers and cron jobs are shown here: app.task, app.timer, app.crontab.'],
  )
}

function zoneName(zone) {
  return zone.slice(zone.lastIndexOf('/') + 1).replaceAll('_', ' ')
}

/** Which worker has which partition: a row a worker, a cell a task, for each count of partitions. */
export function showPartitions(view, visibleTopics) {
  const { group, members: all = [], unassigned, tasks } = view.assignment
  const counts = new Map()
  for (const [task, { member, address }] of Object.entries(group)) {
    const [count, partition] = task.split('-').map(Number)
    const members = counts.get(count) ?? new Map()
    counts.set(count, members)
    const known = members.get(member) ?? { member, address, partitions: [] }
    members.set(member, known)
    known.partitions.push(partition)
  }
  const here = new Map(
    view.workers.flatMap((worker) => (worker.answers ? worker.assignment.tasks.map((task) => [task.id, task]) : [])),
  )
  const lags = new Map()
  for (const source of view.sources) {
    if (visibleTopics !== undefined && !visibleTopics.has(source.topic)) continue
    const id = here.get(source.task)?.id ?? source.task
    lags.set(id, (lags.get(id) ?? 0) + source.lag)
  }
  const place = byId('partitions')
  if (counts.size === 0) {
    place.replaceChildren(
      el(
        'p',
        { class: 'empty' },
        tasks.length === 0
          ? 'This worker is in no group yet: agents make it join.'
          : 'The group has not told yet who has what.',
      ),
    )
    return
  }
  if (place.firstElementChild?.className === 'empty') place.replaceChildren()
  const owners = new Set(Object.values(group).map(({ member }) => member))
  const idle = all.filter(({ member }) => !owners.has(member)).map((each) => ({ ...each, partitions: [] }))
  const groups = [
    ...[...counts].toSorted(([a], [b]) => b - a),
    ...(idle.length === 0 ? [] : [['idle', new Map(idle.map((each) => [each.member, each]))]]),
  ]
  keyed(place, groups, {
    keyOf: ([count]) => String(count),
    make: () => el('div', { class: 'group' }, el('h3'), el('div', { class: 'members' })),
    update: (node, [count, members]) => {
      const topics = [
        ...new Set(
          [...here.values()]
            .filter(({ id }) => id.startsWith(`${count}-`))
            .flatMap(({ sources, parts }) => [...sources.map(({ topic }) => topic), ...parts]),
        ),
      ]
      setText(
        node.firstElementChild,
        count === 'idle'
          ? `${plural(members.size, 'worker')} without a task, to take over when another leaves`
          : `${plural(count, 'partition')} of ${topics.length === 0 ? 'topics of other workers' : topics.join(', ')}`,
      )
      keyed(
        node.lastElementChild,
        [...members.values()].toSorted((a, b) => (a.member < b.member ? -1 : 1)),
        {
          keyOf: ({ member }) => member,
          make: () =>
            el('div', { class: 'member' }, el('span', { class: 'member-name' }), el('span', { class: 'cells' })),
          update: (row, { member, address, partitions }) => {
            const own = member === view.assignment.memberId
            setText(row.firstElementChild, `${address ?? member}${own ? ' (this one)' : ''}`, member)
            keyed(
              row.lastElementChild,
              partitions.toSorted((a, b) => a - b).map((partition) => ({ id: `${count}-${partition}`, partition })),
              {
                keyOf: ({ id }) => id,
                make: () => el('i', { class: 'cell' }),
                update: (cell, { id, partition }) => {
                  const state = here.get(id)?.state
                  setText(
                    cell,
                    String(partition),
                    `${id}: ${state ?? 'on another worker'}${lags.has(id) ? `, ${full(lags.get(id))} records behind` : ''}`,
                  )
                  setAttribute(cell, 'data-state', state ?? 'elsewhere')
                },
              },
            )
          },
        },
      )
    },
  })
  const { rebalance } = view
  const words =
    rebalance === undefined
      ? 'No rebalance yet.'
      : `Last rebalance ${when(rebalance.at)}: ${rebalance.worker === '' ? '' : `${rebalance.worker} says: `}${rebalance.reason}, took ${duration(rebalance.durationMs)}; ${rebalance.gained} gained, ${rebalance.kept} kept, ${rebalance.lost} lost.`
  setText(
    byId('rebalance'),
    `${words}${unassigned.length === 0 ? '' : ` ${plural(unassigned.length, 'task')} on no worker.`}`,
    rebalance?.at ?? '',
  )
}
