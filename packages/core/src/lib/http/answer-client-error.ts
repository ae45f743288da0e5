import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

const STATUS = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
])

/** What is sent for a request that could not be read. No more than this line is said of it: it may be an attack. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable || hasAnswer(socket)) {
    socket.destroy()
    return
  }
  const status = STATUS.get(error.code ?? '') ?? 400
  const reason = STATUS_CODES[status] ?? ''
  const body = JSON.stringify({ error: `${reason}.` })
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** The error is in the body of a request that is being answered: a second status line would be read as part of the answer. */
function hasAnswer(socket: Duplex): boolean {
  return '_httpMessage' in socket && socket._httpMessage !== null && socket._httpMessage !== undefined
}
