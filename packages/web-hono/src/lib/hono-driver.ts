import type { ServerResponse } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { serveNodeHttp, toError, writeResponse, type ServeOptions, type WebDriver } from '@millrace/core'

interface Bindings {
  readonly outgoing: ServerResponse
}

/**
 * The server under a site unless `web.driver` says otherwise.
 *
 * @example
 * const server = await honoDriver().serve({ fetch, address: { host: '127.0.0.1', port: 0 }, limits, clock, onError })
 */
export function honoDriver(): WebDriver {
  return {
    name: 'hono',
    serve: (options) => {
      const listener = listenerOf(options)
      return serveNodeHttp(options, (incoming, outgoing) => {
        listener(incoming, outgoing).catch((thrown: unknown) => {
          options.onError(toError(thrown))
          outgoing.destroy()
        })
      })
    },
  }
}

function listenerOf({ fetch, onError }: ServeOptions): ReturnType<typeof getRequestListener> {
  const app = new Hono<{ Bindings: Bindings }>()
  app.all('*', async ({ req, env: { outgoing } }) => {
    const response = await fetch(req.raw, outgoing.req.socket.remoteAddress)
    // The adapter would print errors of bodies to the console, and their messages into the answer.
    await writeResponse(response, outgoing).catch((thrown: unknown) => onError(toError(thrown)))
    return RESPONSE_ALREADY_SENT
  })
  app.onError((error) => {
    onError(error)
    return errorResponse(500, 'The request failed.')
  })
  return getRequestListener((request, { outgoing }) => app.fetch(request, { outgoing }), {
    // Other code of the process keeps its own Request and Response.
    overrideGlobalObjects: false,
    // For HTTP/1.0, which needs no Host.
    hostname: 'localhost',
    errorHandler(thrown) {
      if (thrown instanceof RequestError) return errorResponse(400, `${thrown.message}.`)
      onError(toError(thrown))
      return errorResponse(500, 'The request failed.')
    },
  })
}

function errorResponse(status: number, error: string): Response {
  return Response.json({ error }, { status })
}
