import { ServerResponse } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { toError } from '@millrace/core'
import { serveNodeHttp, type ServeOptions, type WebDriver, writeResponse } from '@millrace/core/http'

/** The bindings of middleware, as `c.env`. */
export interface HonoBindings {
  /** Node's response: `outgoing.req.socket` is the connection. */
  readonly outgoing: ServerResponse
}

/** The hono app that serves a site. */
export type HonoApp = Hono<{ Bindings: HonoBindings }>

/**
 * The server of a site unless `web.driver` sets another.
 *
 * @param configure gets the hono app before the site is mounted, to add middleware and routes that take precedence over
 * the site's. Every request to the worker passes through it: pages, probes, metrics, and requests that other workers
 * forward.
 * @example
 * createApp({ id: 'shop', web: { driver: () => honoDriver((hono) => hono.use('/admin/*', basicAuth({ username, password }))) } })
 */
export function honoDriver(configure: (hono: HonoApp) => unknown = () => {}): WebDriver {
  return {
    name: 'hono',
    serve: (options) => {
      const listener = listenerOf(options, configure)
      return serveNodeHttp(options, (incoming, outgoing) => {
        listener(incoming, outgoing).catch((thrown: unknown) => {
          options.onError(toError(thrown))
          outgoing.destroy()
        })
      })
    },
  }
}

function listenerOf(
  { fetch, onError }: ServeOptions,
  configure: (hono: HonoApp) => unknown,
): ReturnType<typeof getRequestListener> {
  const app: HonoApp = new Hono()
  app.onError((error) => {
    // Middleware refuses requests by throwing, as basic auth does with 401.
    if (error instanceof HTTPException) return error.getResponse()
    onError(error)
    return errorResponse(500, 'The request failed.')
  })
  configure(app)
  app.all('*', ({ req, env: { outgoing } }) => fetch(req.raw, outgoing.req.socket.remoteAddress))
  const answer = async (request: Request, outgoing: object): Promise<Response> => {
    if (!(outgoing instanceof ServerResponse)) throw new TypeError('The server speaks HTTP/1.1 only.')
    const response = await app.fetch(request, { outgoing })
    // Otherwise the adapter would print errors of bodies to the console and their messages into the answer.
    await writeResponse(response, outgoing).catch((thrown: unknown) => onError(toError(thrown)))
    return RESPONSE_ALREADY_SENT
  }
  return getRequestListener((request, { outgoing }) => answer(request, outgoing), {
    // Leave the process's global Request and Response to other code.
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
