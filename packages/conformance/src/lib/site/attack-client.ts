import { exchange, type RawAnswer } from './raw-exchange.ts'

/** Internals that an answer must never show. */
export const INSIDE: RegExp = /\n\s+at |node:internal|node_modules|\.ts:\d/

interface ListedPage {
  readonly path: string
  readonly methods: readonly string[]
  readonly builtIn: boolean
  readonly open: boolean
}

/** A client without any rights that writes its requests by hand, each on its own connection. */
export class AttackClient {
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  /** @param line method and target; `Host` is localhost unless it is among the headers */
  async ask(line: string, headers: readonly string[] = [], body = ''): Promise<RawAnswer> {
    const own = headers.some((header) => /^host:/i.test(header)) ? [] : ['Host: localhost']
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    const lines = [`${line} HTTP/1.1`, ...own, ...headers, ...length, 'Connection: close']
    const [answer] = await exchange(this.#port, `${lines.join('\r\n')}\r\n\r\n${body}`)
    if (answer === undefined) throw new Error(`Nothing was answered to ${line}.`)
    if (INSIDE.test(answer.body)) throw new Error(`The answer to ${line} shows the inside: ${answer.body}`)
    return answer
  }

  async status(line: string, headers?: readonly string[], body?: string): Promise<number> {
    return (await this.ask(line, headers, body)).status
  }

  /** Paths of the built-in pages for this method that require rights, from the index as shown to this machine. */
  async closedPages(method: string): Promise<readonly string[]> {
    const index = await this.ask('GET /', ['Accept: application/json'])
    const { pages } = JSON.parse(index.body) as { readonly pages: readonly ListedPage[] }
    const closed = pages.filter(({ builtIn, open, methods }) => builtIn && !open && methods.includes(method))
    return closed.map(({ path }) => path.replaceAll(/:\w+/g, '0'))
  }
}
