import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** How long a browser stays signed in. */
const SESSION_MS = 12 * 3_600_000
const COOKIE = 'millrace-session'

/** Compares two texts in constant time. */
export function isSame(one: string, other: string): boolean {
  return timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest())
}

/**
 * A cookie that stands for the token for twelve hours, on every worker that has the same token. It cannot be forged
 * without the token, scripts cannot read it, and other sites cannot make a browser send it.
 */
export function sessionCookie(token: string, nowMs: number, isSecure: boolean): string {
  const expiresMs = Math.floor(nowMs + SESSION_MS)
  const attributes = ['Path=/', `Max-Age=${SESSION_MS / 1000}`, 'HttpOnly', 'SameSite=Strict']
  return [`${COOKIE}=${expiresMs}.${signed(token, expiresMs)}`, ...attributes, ...(isSecure ? ['Secure'] : [])].join(
    '; ',
  )
}

/** Removes sessions from a `Cookie` header; empty if nothing is left. */
export function withoutSession(header: string): string {
  return header
    .split(';')
    .map((part) => part.trim())
    .filter((part) => !part.startsWith(`${COOKIE}=`))
    .join('; ')
}

/** Whether a `Cookie` header has an unexpired session of this token. */
export function hasSession(header: string | null, token: string, nowMs: number): boolean {
  for (const part of (header ?? '').split(';')) {
    const [, expires = '', signature = ''] = new RegExp(`^ *${COOKIE}=(\\d{1,16})\\.([\\w-]{43}) *$`).exec(part) ?? []
    if (Number(expires) > nowMs && isSame(signature, signed(token, Number(expires)))) return true
  }
  return false
}

function signed(token: string, expiresMs: number): string {
  return createHmac('sha256', token).update(`millrace session until ${expiresMs}`).digest('base64url')
}
