import { toError } from '@millrace/core'
import type { SiteTools, SiteWorker } from '@millrace/web'

/** Longest wait for another worker. */
const LIMIT_MS = 2_000
const MAX_BYTES = 8 * 1024 * 1024

/** Another worker, as the group knows it. */
export interface Peer {
  readonly member: string
  readonly address: string
}

/** A worker's answer, or why it did not answer. */
export type PeerAnswer<T> =
  | { readonly address: string; readonly answer: T }
  | { readonly address: string; readonly error: string }

/** Asks the sites of other workers for JSON, all at once. */
export class Peers {
  readonly #tools: Pick<SiteTools, 'peers'>

  constructor(tools: Pick<SiteTools, 'peers'>) {
    this.#tools = tools
  }

  /** Never rejects. The answers have the types of the version that the other workers run. */
  ask<T>(worker: SiteWorker, peers: readonly Peer[], path: string): Promise<readonly PeerAnswer<T>[]> {
    return Promise.all(peers.map((peer) => this.#askOne<T>(worker, peer, path)))
  }

  async #askOne<T>(worker: SiteWorker, peer: Peer, path: string): Promise<PeerAnswer<T>> {
    const { address } = peer
    try {
      const { signal } = worker.context
      const response = await this.#tools.peers.ask({ ...peer, worker, path, signal, limitMs: LIMIT_MS })
      const text = await readLimited(response, MAX_BYTES)
      if (response.status === 401 || response.status === 403)
        return {
          address,
          error:
            'It does not recognise this worker as one of its app: give all workers the same web.secret, or none, and set their clocks.',
        }
      if (!response.ok) return { address, error: `It answered ${response.status}.` }
      return { address, answer: JSON.parse(text) as T }
    } catch (thrown) {
      return { address, error: toError(thrown).message }
    }
  }
}

/** The text of an answer of at most `limit` bytes. */
async function readLimited(response: Response, limit: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > limit) throw new Error(`Its answer is longer than ${limit} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
