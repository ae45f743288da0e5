import { expect, it } from 'vitest'
import { smallSite } from './fixtures/small-site.fixture.ts'

it('gives browsers the page and programs JSON', async () => {
  const { get } = smallSite()
  const page = await get('/', { headers: { accept: 'text/html,*/*;q=0.8' } })
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(page.headers.get('vary')).toBe('accept')
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
  const html = await page.text()
  expect(html).toContain('<main')
  expect(html).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style=/)
  const index = await get('/', { headers: { accept: 'application/json' } })
  expect(index.headers.get('content-type')).toBe('application/json')
})

it('serves every file that the page names with its type and a tag, or 304 to clients that have it', async () => {
  const { get } = smallSite()
  const seen = new Map<string, number>()
  const queue = ['/dashboard/index.html']
  for (const path of queue) {
    if (seen.has(path)) continue
    const file = await get(path)
    expect([path, file.status]).toEqual([path, 200])
    const text = await file.text()
    seen.set(path, Buffer.byteLength(text))
    const tag = file.headers.get('etag') ?? ''
    expect(tag).toMatch(/^"[\w-]+"$/)
    expect((await get(path, { headers: { 'if-none-match': `"other", W/${tag}` } })).status).toBe(304)
    if (path.endsWith('uplot.js')) continue
    for (const [, name] of text.matchAll(/(?:from '\.\/|(?:src|href)="\/dashboard\/)([\w.]+)/g))
      queue.push(`/dashboard/${name}`)
  }
  expect([...seen.keys()]).toContain('/dashboard/patch.js')
  expect([...seen.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(150 * 1024)
})

it('has nothing else', async () => {
  const { get } = smallSite()
  for (const name of ['nothing.js', '..%2Fpackage.json', '__proto__', 'constructor', 'README.md'])
    expect((await get(`/dashboard/${name}`)).status).toBe(404)
})

it('leaves / to a page of the app, and stays at /dashboard/', async () => {
  const { site, get } = smallSite()
  site.page('/', (c) => c.text('mine'))
  expect(await (await get('/', { headers: { accept: 'text/html' } })).text()).toBe('mine')
  expect((await get('/dashboard/', { headers: { accept: 'text/html' } })).headers.get('content-type')).toContain(
    'text/html',
  )
})
