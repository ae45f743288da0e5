import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import type { WebServer } from '../../contracts/web-driver.ts'
import { systemClock } from '../time/system-clock.ts'
import { serveNodeHttp } from './serve-node-http.ts'

const REQUESTS = 500

/** Requests that are being worked on, in the order in which they came. */
interface Desk {
  readonly server: WebServer
  readonly open: ServerResponse[]
  begun: number
  most: number
}

async function serve(): Promise<Desk> {
  const open: ServerResponse[] = []
  const server = await serveNodeHttp(
    {
      address: { host: '127.0.0.1', port: 0 },
      limits: { headerBytes: 16_384, idleMs: 30_000, connections: 1000 },
      clock: systemClock(),
      onError: () => {},
    },
    (_incoming, outgoing) => {
      open.push(outgoing)
      desk.begun++
      desk.most = Math.max(desk.most, open.length)
    },
  )
  const desk: Desk = { server, open, begun: 0, most: 0 }
  return desk
}

function pipelined(count: number = REQUESTS): string {
  return Array.from({ length: count }, (_, at) => `GET /${at} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
}

test('a burst of requests is handled a few at a time and answered in order', async () => {
  const desk = await serve()
  const client = connect(desk.server.port, '127.0.0.1')
  let got = ''
  client.on('data', (piece) => (got += piece.toString()))
  client.write(pipelined())
  await expect.poll(() => desk.begun).toBe(8)
  while (desk.begun < REQUESTS || desk.open.length > 0) {
    // The last first: answers go out in order all the same.
    const answer = desk.open.pop()
    if (answer === undefined) await new Promise((resolve) => setImmediate(resolve))
    else answer.end(`<${answer.req.url}>`)
  }
  await expect.poll(() => got.match(/<\/\d+>/g)?.length).toBe(REQUESTS)
  expect(got.match(/<\/\d+>/g)).toEqual(Array.from({ length: REQUESTS }, (_, at) => `</${at}>`))
  expect(desk.most).toBe(8)
  client.destroy()
  await desk.server.close(0)
})

test('a queued request is not started if the client has disconnected', async () => {
  const desk = await serve()
  const client = connect(desk.server.port, '127.0.0.1')
  client.write(pipelined())
  await expect.poll(() => desk.begun).toBe(8)
  const [first] = desk.open
  if (first === undefined) throw new Error('Nothing was begun.')
  const gone = new Promise((resolve) => first.once('close', resolve))
  client.destroy()
  await gone
  for (const answer of desk.open) answer.end()
  await desk.server.close(0)
  expect(desk.begun).toBe(8)
})

test('only a client that sends far more than it reads is disconnected', async () => {
  const desk = await serve()
  const [greedy, other] = [connect(desk.server.port, '127.0.0.1'), connect(desk.server.port, '127.0.0.1')]
  const cut = new Promise<void>((resolve) => greedy.once('close', () => resolve()))
  greedy.on('error', () => {})
  greedy.write(pipelined(5_000))
  await cut
  expect(desk.begun).toBe(8)
  other.write(pipelined(1))
  await expect.poll(() => desk.begun).toBe(9)
  desk.open.at(-1)?.end('here')
  let got = ''
  other.on('data', (piece) => (got += piece.toString()))
  await expect.poll(() => got).toContain('here')
  other.destroy()
  await desk.server.close(0)
})
