import { expect, it } from 'vitest'
import { accepts, prefersHtml } from './dashboard.ts'

const asking = (accept?: string): Request =>
  new Request('http://site/', accept === undefined ? {} : { headers: { accept } })

it('tells browsers from programs', () => {
  const chromium = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
  expect(prefersHtml(asking(chromium))).toBe(true)
  expect(prefersHtml(asking('*/*'))).toBe(false)
  expect(prefersHtml(asking())).toBe(false)
  expect(prefersHtml(asking('application/json'))).toBe(false)
  expect(prefersHtml(asking('application/json, text/html;q=0.5'))).toBe(false)
  expect(prefersHtml(asking('application/json;q=0.5, TEXT/HTML'))).toBe(true)
  expect(prefersHtml(asking('text/html;q=0'))).toBe(false)
  expect(accepts(asking('text/event-stream'), 'text/event-stream')).toBe(true)
  expect(accepts(asking('*/*'), 'text/event-stream')).toBe(false)
})
