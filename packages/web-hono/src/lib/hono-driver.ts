import { ServerResponse } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { toError } from '@millrace/core'
import { serveNodeHttp, type ServeOptions, type WebDriver, writeResponse } from '@millrace/core/http'

/** What middleware finds under `c.env`. */
export interface HonoBindings {
  /** Node's response: `outgoing.req.socket` is the connection. */
  readonly outgoing: ServerResponse
}

/** The hono app that a site is served by. */
export type HonoApp = Hono<{ Bindings: HonoBindings }>

/**
 * The server under a site unless `web.driver` says otherwise.
 *
 * @param configure gets the hono app before the site is put into it: middleware, and routes that go before the site's.
 * Everything passes through it that comes to the worker: pages, probes, metrics, requests that other workers pass on.
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
    // How middleware refuses: 401 of basic auth, say.
    if (error instanceof HTTPException) return error.getResponse()
    onError(error)
    return errorResponse(500, 'The request failed.')
  })
  configure(app)
  app.all('*', ({ req, env: { outgoing } }) => fetch(req.raw, outgoing.req.socket.remoteAddress))
  const answer = async (request: Request, outgoing: object): Promise<Response> => {
    if (!(outgoing instanceof ServerResponse)) throw new TypeError('The server speaks HTTP/1.1 only.')
    const response = await app.fetch(request, { outgoing })
    // The adapter would print errors of bodies to the console, and their messages into the answer.
    await writeResponse(response, outgoing).catch((thrown: unknown) => onError(toError(thrown)))
    return RESPONSE_ALREADY_SENT
  }
  return getRequestListener((request, { outgoing }) => answer(request, outgoing), {
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
