import { testApp } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { app } from './app.ts'

describe('pages', () => {
  it('a page counts how often it is asked', async () => {
    await using t = await testApp(app)
    const first: unknown = await (await t.fetch('/count/')).json()
    const second: unknown = await (await t.fetch('/count/')).json()
    expect([first, second]).toEqual([{ count: 1 }, { count: 2 }])
  })

  it('A class view answers several verbs, and 405 to the others', async () => {
    await using t = await testApp(app)
    const ask = async (method: string, path = '/counter/'): Promise<unknown> => (await t.fetch(path, { method })).json()
    expect(await ask('GET')).toEqual({ count: 0 })
    expect(await ask('POST')).toEqual({ count: 1 })
    expect(await ask('POST', '/counter/?n=5')).toEqual({ count: 6 })
    expect(await ask('DELETE')).toEqual({ count: 0 })
    expect((await t.fetch('/counter/?n=x', { method: 'POST' })).status).toBe(400)
    const refused = await t.fetch('/counter/', { method: 'PUT' })
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, DELETE, OPTIONS'])
  })
})
