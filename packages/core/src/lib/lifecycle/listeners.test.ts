import { expect, test } from 'vitest'
import { Listeners } from './listeners.ts'

interface Events {
  opened: [name: string]
  closed: []
}

function listeners(failures: string[] = []): Listeners<Events> {
  return new Listeners<Events>(['opened', 'closed'], (event, { message }) => failures.push(`${event}: ${message}`))
}

test('whoever listens is called with what is given, until it has left', () => {
  const names: string[] = []
  const all = listeners()
  const leave = all.on('opened', (name) => names.push(name))
  all.notify('opened', 'a')
  all.notify('closed')
  leave()
  all.notify('opened', 'b')
  expect(names).toEqual(['a'])
})

test('a listener that fails is reported, and keeps nobody else from being called', async () => {
  const failures: string[] = []
  const all = listeners(failures)
  let called = 0
  all.on('closed', () => {
    throw new Error('no')
  })
  const rejects = (): unknown => Promise.reject(new Error('not either'))
  all.on('closed', rejects)
  all.on('closed', () => void called++)
  all.notify('closed')
  await new Promise((resolve) => setImmediate(resolve))
  expect(called).toBe(1)
  expect(failures).toEqual(['closed: no', 'closed: not either'])
})

test('an event that there is not is an error that names those that there are', () => {
  // As a program without types may have it.
  const misspelt: { event: 'opened' } = JSON.parse('{ "event": "open" }')
  expect(() => listeners().on(misspelt.event, () => {})).toThrow('There is no event "open"; there are opened, closed.')
})
