import type { IncomingMessage, ServerResponse } from 'node:http'
import { toError } from '@millrace/core'
import { bodyStream, serveNodeHttp, type ServeOptions, type WebDriver, writeResponse } from '@millrace/core/http'

/**
 * A web driver of one's own, on `node:http`. What every such server needs (limits, answers to what is no request, a
 * graceful close) is `serveNodeHttp`; this makes a web-standard request of what it gets, and writes the answer.
 */
export const plainWeb: WebDriver = {
  name: 'plain',
  serve: (options) =>
    serveNodeHttp(options, (incoming, outgoing) => {
      answer(options, incoming, outgoing).catch((thrown: unknown) => {
        options.onError(toError(thrown))
        outgoing.destroy()
      })
    }),
}

async function answer(options: ServeOptions, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Error('The client is gone.'))
    // What was not read of the body would be in the way of the next request.
    incoming.removeAllListeners('readable').resume()
  })
  let request: Request
  try {
    request = requestOf(incoming, gone.signal)
  } catch {
    await writeResponse(Response.json({ error: 'The request cannot be read.' }, { status: 400 }), outgoing)
    return
  }
  let response: Response
  try {
    response = await options.fetch(request, incoming.socket.remoteAddress)
  } catch (thrown) {
    options.onError(toError(thrown))
    response = Response.json({ error: 'The request failed.' }, { status: 500 })
  }
  await writeResponse(response, outgoing)
}

/** @throws `TypeError` when target, host or method are not such as a web-standard request can have */
function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', url = '/', rawHeaders } = incoming
  const host = incoming.headers.host ?? 'localhost'
  const scheme = 'encrypted' in incoming.socket ? 'https' : 'http'
  if (!/^[\w.:[\]-]+$/.test(host) || url.includes('\\')) throw new TypeError('This is no address.')
  const headers = rawHeaders.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [],
  )
  const hasBody = method !== 'GET' && method !== 'HEAD'
  return new Request(url.startsWith('/') ? `${scheme}://${host}${url}` : url, {
    method,
    headers,
    signal,
    ...(hasBody ? { body: bodyStream(incoming, () => {}), duplex: 'half' as const } : {}),
  })
}
