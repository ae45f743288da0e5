import type { App } from '@millrace/app'
import { getRequestListener } from '@hono/node-server'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Express middleware with the site of an app. Express has taken the prefix off its URL. */
export function siteOf(app: App): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const listener = getRequestListener(
    async (request, { incoming }) => {
      const answer = await app.web.fetch(request, incoming.socket.remoteAddress)
      // A server that closes waits for connections, and would wait for one that was a stream until it has been idle for long.
      if (answer.headers.get('content-type') === 'text/event-stream') answer.headers.set('connection', 'close')
      return answer
    },
    { overrideGlobalObjects: false },
  )
  return (incoming, outgoing) => void listener(incoming, outgoing)
}
