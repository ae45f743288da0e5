/** How long a browser may keep the answer to a preflight, in seconds. */
const MAX_AGE_S = 600

/**
 * What lets a page of another origin read the answer; empty when the setting does not name its origin. Cookies are never
 * allowed: no page of the site asks for them.
 *
 * @param setting of `web.cors`: origins with commas between, or `*`
 */
export function corsHeaders(setting: string | undefined, request: Request): Readonly<Record<string, string>> {
  const origin = request.headers.get('origin')
  if (setting === undefined || origin === null) return {}
  const origins = setting.split(',').map((each) => each.trim())
  if (origins.includes('*')) return { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' }
  if (!origins.includes(origin)) return { vary: 'Origin' }
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': '*', vary: 'Origin' }
}

/** What a browser is told that asks before it sends; empty when the request does not ask. */
export function preflightHeaders(request: Request, allow: string): Readonly<Record<string, string>> {
  if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return {}
  const asked = request.headers.get('access-control-request-headers')
  return {
    'access-control-allow-methods': allow,
    'access-control-max-age': String(MAX_AGE_S),
    ...(asked === null ? {} : { 'access-control-allow-headers': asked }),
  }
}
