import type { IncomingMessage, ServerResponse } from 'node:http'
import { toError } from '@millrace/core'
import { bodyStream, serveNodeHttp, type ServeOptions, type WebDriver, writeResponse } from '@millrace/core/http'

/**
 * A web driver on `node:http` alone. It shows that the server can be swapped, and suffices if no other is wanted.
 *
 * @example
 * createApp({ id: 'word-counts', web: { driver: nodeHttpDriver } })
 */
export function nodeHttpDriver(): WebDriver {
  return {
    name: 'node:http',
    serve: (options) =>
      serveNodeHttp(options, (incoming, outgoing) => {
        answer(options, incoming, outgoing).catch((thrown: unknown) => {
          options.onError(toError(thrown))
          outgoing.destroy()
        })
      }),
  }
}

async function answer(
  { fetch, onError }: ServeOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const left = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) left.abort(new Error('The client is gone.'))
    // An unread body would be in the way of the next request.
    incoming.removeAllListeners('readable')
    incoming.resume()
  })
  const request = requestOf(incoming, left.signal)
  await writeResponse(
    request === undefined
      ? errorResponse(400, 'The request cannot be read.')
      : await answered(request, incoming.socket.remoteAddress, { fetch, onError }),
    outgoing,
  )
}

async function answered(
  request: Request,
  peer: string | undefined,
  { fetch, onError }: Pick<ServeOptions, 'fetch' | 'onError'>,
): Promise<Response> {
  try {
    return await fetch(request, peer)
  } catch (thrown) {
    onError(toError(thrown))
    return errorResponse(500, 'The request failed.')
  }
}

function errorResponse(status: number, error: string): Response {
  return Response.json({ error }, { status })
}

/** `undefined` if target, host or method are invalid in a web-standard request. */
function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const {
    method = 'GET',
    url = '/',
    headers: { host = 'localhost' },
  } = incoming
  const scheme = 'encrypted' in incoming.socket ? 'https' : 'http'
  const href = url.startsWith('/') ? `${scheme}://${host}${url}` : url
  if (!URL.canParse(href) || !/^[\w.:[\]-]+$/.test(host) || url.includes('\\')) return undefined
  const hasBody = method !== 'GET' && method !== 'HEAD'
  try {
    return new Request(href, {
      method,
      headers: headersOf(incoming),
      signal,
      ...(hasBody ? { body: bodyStream(incoming, () => {}), duplex: 'half' as const } : {}),
    })
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  return headers
}
