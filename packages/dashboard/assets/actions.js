import { el, byId, setOptions, setText } from './dom.js'
import { full, letterPlace, plural, when } from './format.js'
import { areWindows, windowChart } from './windows.js'

/** Asks for JSON; throws an error with what the worker says when it refuses, and the whole `answer`. */
export async function askJson(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { accept: 'application/json', ...options.headers } })
  const text = await response.text()
  let answer
  try {
    answer = JSON.parse(text)
  } catch {
    answer = { error: text }
  }
  if (!response.ok)
    throw Object.assign(new Error(answer?.error ?? `The worker answered ${response.status}.`), { answer })
  return answer
}

/** Changes something; works only where `web.admin` is on. */
export function post(path, body = {}) {
  return askJson(path, {
    method: 'POST',
    headers: { 'millrace-action': 'page', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

/** The field in which keys are looked up: answered by the worker that has the key. */
export function setUpLookup() {
  byId('lookup').addEventListener('submit', (event) => {
    event.preventDefault()
    void lookUp(byId('lookup-answer'))
  })
}

async function lookUp(answer) {
  const table = encodeURIComponent(byId('lookup-table').value)
  const key = byId('lookup-key').value
  const query = `?key=${encodeURIComponent(key)}`
  answer.hidden = false
  answer.replaceChildren(el('span', { class: 'quiet' }, 'Looking …'))
  try {
    const value = await askJson(`/table/${table}/${query}`)
    const owner = await askJson(`/router/${table}/${query}`).catch(() => undefined)
    const where =
      owner === undefined
        ? ''
        : `partition ${owner.partition}, on ${owner.local ? 'this worker' : (owner.address ?? owner.member)}`
    const shown = [
      el('code', { class: 'key' }, key),
      areWindows(value) ? windowChart(value) : undefined,
      el('pre', {}, JSON.stringify(value, undefined, 2)),
      el('span', { class: 'quiet' }, where),
    ]
    answer.replaceChildren(...shown.filter((child) => child !== undefined))
  } catch (error) {
    answer.replaceChildren(el('code', { class: 'key' }, key), el('span', { class: 'said' }, error.message))
  }
}

export function showLookupTables(names) {
  byId('lookup').hidden = names.length === 0
  setOptions(byId('lookup-table'), names)
}

/** Dead letters: looked for when somebody asks, for their topics are read to the end. */
export class Letters {
  #canAct
  #looked = false

  constructor(canAct) {
    this.#canAct = canAct
    byId('letters-look').addEventListener('click', () => void this.look())
    byId('letters').replaceChildren(
      el('p', { class: 'empty' }, 'Events that agents gave up are kept in dead letter topics. Look reads them.'),
    )
  }

  /** Called with what the agents have given up since they started. */
  show(count) {
    if (count > 0 && !this.#looked) void this.look()
  }

  async look() {
    this.#looked = true
    setText(byId('letters-note'), 'Reading …')
    try {
      const agents = await askJson('/dead-letters/')
      setText(byId('letters-note'), `Looked at ${when(Date.now())}.`)
      this.#list(agents.filter(({ letters }) => letters > 0))
    } catch (error) {
      setText(byId('letters-note'), error.message)
    }
  }

  #list(agents) {
    if (agents.length === 0) {
      byId('letters').replaceChildren(el('p', { class: 'empty' }, 'There are none: no agent has given up an event.'))
      return
    }
    byId('letters').replaceChildren(...agents.map((agent) => this.#agent(agent)))
  }

  #agent({ agent, topic, letters, waiting, complete, newest }) {
    const all = actionButton(complete ? `Replay all ${full(waiting)}` : 'Replay all', {
      may: this.#canAct(),
      isOver: waiting === 0 && complete,
      act: () => this.#replay(agent, { all: true }),
    })
    return el(
      'div',
      { class: 'letters' },
      el(
        'h3',
        { title: topic },
        `${agent}: ${complete ? '' : 'of the newest '}${plural(letters, 'letter')}, ${full(waiting)} not replayed`,
      ),
      all,
      ...newest.map((letter) => this.#letter(agent, letter)),
    )
  }

  #letter(agent, { partition, offset, source, due, failure, failedAt, replayed }) {
    const body = el('div', { class: 'letter-body' })
    const summary = el(
      'summary',
      {},
      el(
        'span',
        { class: 'letter-time', title: failedAt === undefined ? '' : new Date(failedAt).toISOString() },
        failedAt === undefined ? '–' : when(failedAt),
      ),
      el('span', { class: 'letter-place' }, letterPlace({ source, due })),
      el('span', { class: 'letter-error', title: failure.message }, `${failure.class}: ${failure.message}`),
      el('span', { class: 'letter-state' }, replayed ? 'replayed' : plural(failure.attempts, 'attempt')),
    )
    const details = el('details', { class: 'letter' }, summary, body)
    details.addEventListener('toggle', () => {
      if (details.open && body.childElementCount === 0)
        void this.#open(body, { agent, partition, offset, failure, replayed })
    })
    return details
  }

  async #open(body, { agent, partition, offset, failure, replayed }) {
    try {
      const letter = await askJson(`/dead-letters/${encodeURIComponent(agent)}/${partition}/${offset}/`)
      const replay = actionButton('Replay this one', {
        may: this.#canAct(),
        isOver: replayed,
        act: () => this.#replay(agent, { partition, offset }),
      })
      body.replaceChildren(
        el(
          'dl',
          {},
          ...pair('Key', shown(letter.key)),
          ...pair('Value', shown(letter.value)),
          ...pair('Headers', letter.headers.map(([name, value]) => `${name}: ${value ?? ''}`).join('\n') || 'none'),
          ...pair('Error', letter.stack || `${failure.class}: ${failure.message}`),
        ),
        replay,
      )
    } catch (error) {
      body.replaceChildren(el('p', { class: 'said' }, error.message))
    }
  }

  async #replay(agent, which) {
    setText(byId('letters-note'), 'Sending back …')
    try {
      const { replayed, before, refused } = await post(`/dead-letters/${encodeURIComponent(agent)}/replay/`, which)
      await this.look()
      const why = refused.count === 0 ? '' : `, ${refused.count} refused: ${refused.first[0]?.reason ?? ''}`
      setText(
        byId('letters-note'),
        `${plural(replayed, 'record')} sent back to ${agent}${before > 0 ? `, ${before} had been before` : ''}${why}.`,
      )
    } catch (error) {
      setText(byId('letters-note'), error.message)
    }
  }
}

/** For those who may act; says why it cannot be pressed. */
function actionButton(words, { may, isOver, act }) {
  const title = may.on ? '' : may.reason
  return el('button', { type: 'button', disabled: !may.on || isOver, title, onclick: act }, words)
}

function pair(name, value) {
  return [el('dt', {}, name), el('dd', {}, el('pre', {}, value))]
}

function shown({ as, value }) {
  if (as === 'none') return 'none'
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
}
