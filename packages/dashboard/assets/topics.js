import { askJson, post } from './actions.js'
import { byId, el, setAttribute, setOptions, setText } from './dom.js'
import { full, plural, when } from './format.js'

const RECORDS = 20

/** The last records of a topic, looked for when somebody asks, and a form that sends one while the app is developed. */
export class Topics {
  #canAct
  #topics = new Map()

  constructor(canAct) {
    this.#canAct = canAct
    byId('topic').addEventListener('change', () => this.#chosen())
    byId('peek').addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#look()
    })
    byId('send').addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#sendRecord()
    })
    for (const field of ['key', 'value'])
      byId(`send-${field}`).addEventListener('input', () => showError(field, undefined))
  }

  /** Asked for again whenever the connection is new. */
  async refresh() {
    const { topics, send } = await askJson('/topics/')
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]))
    const names = [...this.#topics.keys()]
    if (setOptions(byId('topic'), names)) this.#chosen()
    byId('topics-section').hidden = names.length === 0
    const admin = this.#canAct()
    byId('peek-look').disabled = !admin.on
    setAttribute(byId('peek-look'), 'title', admin.on ? undefined : admin.reason)
    byId('send').hidden = !send.on
    setText(byId('send-note'), send.on ? '' : send.reason)
  }

  #chosen() {
    const { key, value } = this.#topics.get(byId('topic').value) ?? {}
    const text = isText(value)
    setText(byId('send-key-label'), key === undefined ? 'Key' : `Key (${key})`)
    setText(byId('send-value-label'), text ? 'Value (text)' : `Value (JSON${value === 'json' ? '' : `, for ${value}`})`)
    byId('send-value').setAttribute(
      'placeholder',
      text ? 'hello world' : value === 'number' ? '42' : '{ "name": "value" }',
    )
    showError('key', undefined)
    showError('value', undefined)
    setText(byId('topics-note'), '')
    byId('records').replaceChildren(el('p', { class: 'empty' }, 'Show records reads the newest of the topic.'))
  }

  async #look() {
    const name = byId('topic').value
    const note = byId('topics-note')
    setText(note, 'Reading …')
    try {
      const { records, complete } = await askJson(`/topics/${encodeURIComponent(name)}/records/?last=${RECORDS}`)
      if (name !== byId('topic').value) return
      setText(
        note,
        `${plural(records.length, 'record')}, the newest first${complete ? '' : '; there was more than could be read'}`,
      )
      byId('records').replaceChildren(
        records.length === 0 ? el('p', { class: 'empty' }, `Topic ${name} has no records.`) : tableOf(records),
      )
    } catch (error) {
      setText(note, error.message)
    }
  }

  async #sendRecord() {
    const name = byId('topic').value
    const key = byId('send-key').value
    const typed = byId('send-value').value
    const button = byId('send-button')
    let value = typed
    if (!isText(this.#topics.get(name)?.value))
      try {
        value = JSON.parse(typed)
      } catch (error) {
        return showError('value', `This is no JSON: ${error.message}`)
      }
    button.disabled = true
    try {
      const sent = await post(`/topics/${encodeURIComponent(name)}/send/`, { ...(key === '' ? {} : { key }), value })
      await this.#look()
      setText(byId('topics-note'), `Sent: ${name}/${sent.partition} at offset ${full(sent.offset)}`)
    } catch (error) {
      if (error.answer?.field === undefined) setText(byId('topics-note'), error.message)
      else showError(error.answer.field, error.message)
    } finally {
      button.disabled = false
    }
  }
}

function isText(codec) {
  return codec === 'string' || codec === 'bytes'
}

/** Beside the field, and read out with it. */
function showError(field, message) {
  const input = byId(`send-${field}`)
  setText(byId(`send-${field}-error`), message ?? '')
  byId(`send-${field}-error`).hidden = message === undefined
  setAttribute(input, 'aria-invalid', message !== undefined)
  if (message !== undefined) input.focus()
}

function tableOf(records) {
  const head = ['Partition', 'Offset', 'Time', 'Key', 'Value'].map((name, at) =>
    el('th', { scope: 'col', class: at < 2 ? 'number' : '' }, name),
  )
  const rows = records.map(({ partition, offset, timestamp, key, value, cut, headers }) =>
    el(
      'tr',
      {},
      el('td', { class: 'number', 'data-label': 'Partition' }, String(partition)),
      el('td', { class: 'number', 'data-label': 'Offset' }, full(offset)),
      el('td', { class: 'time', 'data-label': 'Time', title: new Date(timestamp).toISOString() }, when(timestamp)),
      el('td', { class: 'record-text', 'data-label': 'Key' }, el('code', {}, shown(key))),
      el(
        'td',
        {
          class: 'record-text',
          'data-label': 'Value',
          title: headers.map(([name, text]) => `${name}: ${text ?? ''}`).join('\n') || undefined,
        },
        el('code', {}, `${shown(value)}${cut ? ' …' : ''}`),
      ),
    ),
  )
  return el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows))
}

function shown(value) {
  if (value === null || value === undefined) return 'none'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
