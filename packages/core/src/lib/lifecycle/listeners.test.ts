import { expect, test } from 'vitest'
import { Listeners } from './listeners.ts'

interface Events {
  opened: [name: string]
  closed: []
}

function listeners(failures: string[] = []): Listeners<Events> {
  return new Listeners<Events>(['opened', 'closed'], (event, { message }) => failures.push(`${event}: ${message}`))
}

test('a listener is called with each value until it is removed', () => {
  const names: string[] = []
  const all = listeners()
  const leave = all.on('opened', (name) => names.push(name))
  all.notify('opened', 'a')
  all.notify('closed')
  leave()
  all.notify('opened', 'b')
  expect(names).toEqual(['a'])
})

test('the failure of a listener is reported, and the others are still called', async () => {
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

test('the error for an unknown event names the known ones', () => {
  // As a program without types may have it.
  const misspelt: { event: 'opened' } = JSON.parse('{ "event": "open" }')
  expect(() => listeners().on(misspelt.event, () => {})).toThrow('There is no event "open"; there are opened, closed.')
})
