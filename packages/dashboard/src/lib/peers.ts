import { toError } from '@millrace/core'
import { Forwarder, type SiteTools } from '@millrace/web'

/** Longest wait for another worker. */
const LIMIT_MS = 2_000
const MAX_BYTES = 8 * 1024 * 1024
const CLOSE_MS = 500

/** What one worker answered, or why it did not. */
export type PeerAnswer<T> =
  | { readonly address: string; readonly answer: T }
  | { readonly address: string; readonly error: string }

/** Asks the sites of other workers for JSON, all at once. */
export class Peers {
  readonly #tools: Pick<SiteTools, 'site' | 'access'>
  #forwarder: Forwarder | undefined

  constructor(tools: Pick<SiteTools, 'site' | 'access'>) {
    this.#tools = tools
  }

  /** Never rejects. The answers have the types of the version that the other workers run. */
  ask<T>(addresses: readonly string[], path: string, signal: AbortSignal): Promise<readonly PeerAnswer<T>[]> {
    return Promise.all(addresses.map((address) => this.#askOne<T>(address, path, signal)))
  }

  async close(): Promise<void> {
    const forwarder = this.#forwarder
    this.#forwarder = undefined
    await forwarder?.close(CLOSE_MS)
  }

  async #askOne<T>(address: string, path: string, signal: AbortSignal): Promise<PeerAnswer<T>> {
    this.#forwarder ??= new Forwarder(this.#tools.site.surroundings.clock)
    try {
      const response = await this.#forwarder.forward({
        address,
        request: new Request(`http://peer${path}`, { headers: { accept: 'application/json' } }),
        signal,
        limitMs: LIMIT_MS,
        headers: this.#tools.access.headers(),
      })
      const text = await readLimited(response, MAX_BYTES)
      if (response.status === 401 || response.status === 403)
        return { address, error: 'It shows its data to nobody here: set the same web.token on all workers.' }
      if (!response.ok) return { address, error: `It answered ${response.status}.` }
      return { address, answer: JSON.parse(text) as T }
    } catch (thrown) {
      return { address, error: toError(thrown).message }
    }
  }
}

/** The text of an answer, which must not be longer than `limit` bytes. */
async function readLimited(response: Response, limit: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > limit) throw new Error(`It answered more than ${limit} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
