import { deferred } from '@millrace/core'
import type { WebDriver } from '@millrace/core/http'
import { afterEach, expect, test } from 'vitest'
import { eventually, within } from '../../eventually.ts'
import { openWorld, type WebWorld, type WorldOptions } from '../web-world.ts'

/** Exchanges in which one of the two sides fails. */
export function failureCases(createDriver: () => WebDriver): void {
  let world: WebWorld | undefined
  const open = async (fetch: WorldOptions['fetch']): Promise<WebWorld> =>
    (world = await openWorld({ driver: createDriver(), fetch }))
  afterEach(async () => world?.close())

  test('a fetch that rejects gives 500, as JSON without details, and is reported', async () => {
    const { url, errors } = await open(async () => Promise.reject(new Error('secret of the house')))
    const answer = await fetch(url)
    const text = await answer.text()
    expect(answer.status).toBe(500)
    expect(JSON.parse(text)).toEqual({ error: expect.any(String) })
    expect(text).not.toContain('secret')
    expect(text).not.toContain(' at ')
    expect(errors.map(({ message }) => message)).toEqual(['secret of the house'])
  })

  test('a fetch that throws gives the same', async () => {
    const { url, errors } = await open(() => {
      throw new Error('at once')
    })
    expect((await fetch(url)).status).toBe(500)
    expect(errors).toHaveLength(1)
  })

  test('an answer whose body fails is cut off and reported, and the server continues', async () => {
    const { socket, url, errors } = await open(async (request) => {
      if (request.url.endsWith('/well')) return new Response('well')
      let pieces = 0
      return new Response(
        new ReadableStream({
          pull(controller) {
            pieces += 1
            if (pieces > 2) throw new Error('secret of the body')
            controller.enqueue(new TextEncoder().encode('half'))
          },
        }),
      )
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const text = await client.ended()
    expect(text).not.toMatch(/0\r\n\r\n$/)
    expect(text).not.toContain('secret')
    await eventually(() => errors.length > 0, { what: 'the error' })
    expect(errors[0]?.message).toBe('secret of the body')
    expect(await (await fetch(`${url}/well`)).text()).toBe('well')
  })

  test('the signal aborts when the client leaves before the answer', async () => {
    const asked = deferred<void>()
    const aborted = deferred<void>()
    const { socket } = await open(async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      asked.resolve()
      await aborted.promise
      return new Response('late')
    })
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await within(asked.promise, { what: 'the request' })
    client.socket.destroy()
    await within(aborted.promise, { what: 'the abort' })
  })

  test('the body of an answer is cancelled when the client leaves', async () => {
    const cancelled = deferred<void>()
    const { socket } = await open(
      async () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
            cancel: () => cancelled.resolve(),
          }),
        ),
    )
    const client = await socket()
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until(/data: 1/)
    client.socket.destroy()
    await within(cancelled.promise, { what: 'the cancel' })
  })

  test('a body that breaks off rejects where it is read', async () => {
    const failed = deferred<string>()
    const asked = deferred<void>()
    const { socket } = await open(async (request) => {
      asked.resolve()
      await request.text().then(
        () => failed.resolve('it was read'),
        () => failed.resolve('it broke off'),
      )
      return new Response('late')
    })
    const client = await socket()
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
    await within(asked.promise, { what: 'the request' })
    client.socket.destroy()
    expect(await within(failed.promise, { what: 'the end of the body' })).toBe('it broke off')
  })
}
