import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ForwardedRequest } from '../pages/page-context.ts'

/**
 * How far the clocks of two workers may differ, including the time that a request takes to arrive. Clocks kept by NTP
 * differ by less than a second. A minute tolerates clocks set by hand, and leaves little time to replay a copied
 * request.
 */
export const FORWARD_WINDOW_MS = 60_000

/** The request that the signature covers; the same on both sides. */
export interface SignedRequest {
  readonly appId: string
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** The target worker's address, as the group has it. */
  readonly to: string
}

/** The written form of a forwarded request, with a nonce that makes it unique. */
export interface SentForward extends ForwardedRequest {
  /** Clock of the sending worker, in milliseconds since the epoch. */
  readonly atMs: number
  readonly nonce: string
}

/** Why a forwarded request is not believed, as the end of "A request that says it comes from another worker …". */
export type ForwardProblem =
  | 'is not signed as this version signs'
  | 'has a signature that was made for another request, for another worker or with another secret'
  | 'was signed at a time that is too far from the time here'

const VERSION = '1'
const FORM = /^1\.([\w-]{1,4096})\.([\w-]{43})$/

/**
 * The header's text for a forwarded request: the version, the content, and a signature over the content and the
 * request.
 */
export function signForward(
  secret: string,
  request: SignedRequest,
  forwardedBy: ForwardedRequest,
  nowMs: number,
): string {
  const { from, peer, as, mayAct } = forwardedBy
  const sent: SentForward = {
    from,
    peer,
    as,
    mayAct,
    atMs: Math.floor(nowMs),
    nonce: randomBytes(9).toString('base64url'),
  }
  const payload = Buffer.from(JSON.stringify(sent)).toString('base64url')
  return `${VERSION}.${payload}.${signatureOf(secret, request, payload).toString('base64url')}`
}

/** The content of a forwarded request, if its signature matches this secret and this request; otherwise the problem. */
export function verifyForward(
  text: string,
  secret: string,
  request: SignedRequest,
  nowMs: number,
): { readonly forwardedBy: SentForward } | { readonly problem: ForwardProblem } {
  const [, payload = '', given = ''] = FORM.exec(text) ?? []
  if (payload === '') return { problem: 'is not signed as this version signs' }
  const signature = signatureOf(secret, request, payload)
  // Compared as text: the last base64 character has unused bits, so comparing bytes would accept an altered signature.
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(signature.toString('base64url'))))
    return { problem: 'has a signature that was made for another request, for another worker or with another secret' }
  const forwardedBy = readSent(payload)
  if (forwardedBy === undefined) return { problem: 'is not signed as this version signs' }
  if (Math.abs(nowMs - forwardedBy.atMs) > FORWARD_WINDOW_MS)
    return { problem: 'was signed at a time that is too far from the time here' }
  return { forwardedBy }
}

/** JSON for each part, so that text cannot move from one part into another. */
function signatureOf(secret: string, { appId, method, target, to }: SignedRequest, payload: string): Buffer {
  const text = JSON.stringify(['millrace hop', VERSION, appId, method, target, to, payload])
  return createHmac('sha256', secret).update(text).digest()
}

function readSent(payload: string): SentForward | undefined {
  const read: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
  if (typeof read !== 'object' || read === null) return undefined
  const { from, peer, as, mayAct, atMs, nonce }: Partial<Record<keyof SentForward, unknown>> = read
  if (typeof from !== 'string' || typeof mayAct !== 'boolean' || typeof atMs !== 'number') return undefined
  if (typeof nonce !== 'string' || (peer !== undefined && typeof peer !== 'string')) return undefined
  const admitted = ADMITTED.find((one) => one === as)
  return { from, peer, as: admitted, mayAct: mayAct && admitted !== undefined, atMs, nonce }
}

const ADMITTED = ['token', 'session', 'this machine', 'worker'] as const
