import { connect } from 'node:net'

/** A server that is silent for this long waits for the rest of a request. */
const SILENCE_MS = 10_000

/** One answer of a server, byte for byte. */
export interface RawAnswer {
  readonly status: number
  /** Status line and headers. */
  readonly head: string
  readonly body: string
}

/**
 * The server's answer to bytes on a new connection, until it ends the connection or is silent.
 *
 * @param bytes in Latin-1
 */
export async function exchange(port: number, bytes: string): Promise<readonly RawAnswer[]> {
  return readAnswers(await rawExchange(port, bytes))
}

async function rawExchange(port: number, bytes: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  const pieces: string[] = []
  socket.setTimeout(SILENCE_MS, () => socket.destroy())
  socket.setEncoding('latin1')
  socket.on('data', (piece) => pieces.push(String(piece)))
  // A server may reset the connection if it does not want the rest.
  socket.on('error', () => {})
  socket.write(bytes, 'latin1')
  await new Promise((resolve) => socket.once('close', resolve))
  return pieces.join('')
}

const WITHOUT_BODY = [204, 304]

/** Parses answers on a connection without HEAD requests. An incomplete answer counts as far as it was received. */
function readAnswers(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const head = end < 0 ? rest : rest.slice(0, end)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN)
    if (Number.isNaN(status)) throw new Error(`This is no answer: ${JSON.stringify(rest.slice(0, 200))}`)
    rest = end < 0 ? '' : rest.slice(end + 4)
    if (status < 200) continue
    const length = WITHOUT_BODY.includes(status) ? 0 : bodyLength(head, rest)
    answers.push({ status, head, body: rest.slice(0, length) })
    rest = rest.slice(length)
  }
  return answers
}

/** The length of the body at the beginning of `rest`, including the sizes of its chunks. */
function bodyLength(head: string, rest: string): number {
  const length = /^content-length: *(\d+) *$/im.exec(head)?.[1]
  if (length !== undefined) return Number(length)
  if (!/^transfer-encoding: *chunked *$/im.test(head)) return rest.length
  let at = 0
  for (;;) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return rest.length
    const size = Number.parseInt(rest.slice(at, line), 16)
    at = line + 2 + size + 2
    if (size === 0 || !(at <= rest.length)) return Math.min(at, rest.length)
  }
}
