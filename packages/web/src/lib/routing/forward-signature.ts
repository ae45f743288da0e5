import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ForwardedRequest } from '../pages/page-context.ts'

/**
 * How far the clocks of two workers may be apart, and how long a request may be on its way. Clocks that are kept by NTP
 * differ by less than a second; a minute lets in those that are set by hand, and is short for whoever has copied a request.
 */
export const FORWARD_WINDOW_MS = 60_000

/** The request that a forwarded request belongs to: signed with it, and the same on both sides. */
export interface SignedRequest {
  readonly appId: string
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Address of the worker that it is for, as the group has it. */
  readonly to: string
}

/** A forwarded request as it was written, with what tells one from another. */
export interface SentForward extends ForwardedRequest {
  /** Wall clock of the worker that sent it, milliseconds since the epoch. */
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

/** The text of the header that carries a forwarded request: the version, what it says, the signature over that and the request. */
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

/** What a forwarded request says, when its signature is of this secret and of this request; else the problem. */
export function verifyForward(
  text: string,
  secret: string,
  request: SignedRequest,
  nowMs: number,
): { readonly forwardedBy: SentForward } | { readonly problem: ForwardProblem } {
  const [, payload = '', given = ''] = FORM.exec(text) ?? []
  if (payload === '') return { problem: 'is not signed as this version signs' }
  const signature = signatureOf(secret, request, payload)
  // Compared as text: the last character of base64 has bits that mean nothing, and would let a changed one pass.
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(signature.toString('base64url'))))
    return { problem: 'has a signature that was made for another request, for another worker or with another secret' }
  const forwardedBy = readSent(payload)
  if (forwardedBy === undefined) return { problem: 'is not signed as this version signs' }
  if (Math.abs(nowMs - forwardedBy.atMs) > FORWARD_WINDOW_MS)
    return { problem: 'was signed at a time that is too far from the time here' }
  return { forwardedBy }
}

/** Each part as JSON, so that nothing can be moved from one into another. */
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
