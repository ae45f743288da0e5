import type { App } from '@millrace/app'
import { getRequestListener } from '@hono/node-server'
import type { FastifyPluginAsync } from 'fastify'

/** A Fastify plugin with the site of an app below its prefix: pages, the dashboard, health. */
export function siteOf(app: App): FastifyPluginAsync {
  return async (server) => {
    const below = server.prefix
    const listener = getRequestListener(
      async (request, { incoming }) => {
        const url = new URL(request.url)
        url.pathname = url.pathname.slice(below.length)
        const answer = await app.web.fetch(new Request(url, request), incoming.socket.remoteAddress)
        // A server that closes waits for connections, and would wait for one that was a stream until it has been idle for long.
        if (answer.headers.get('content-type') === 'text/event-stream') answer.headers.set('connection', 'close')
        return answer
      },
      { overrideGlobalObjects: false },
    )
    // The site reads bodies itself.
    server.removeAllContentTypeParsers()
    server.addContentTypeParser('*', (_request, _body, done) => done(null))
    server.all('/*', async (request, reply) => {
      reply.hijack()
      await listener(request.raw, reply.raw)
    })
  }
}
