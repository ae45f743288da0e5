import { type Clock, withTimeout } from '@millrace/core'
import { limitBody } from '../pages/limit-body.ts'
import type { PageContext } from '../pages/page-context.ts'
import { PageError } from '../pages/page-error.ts'
import { View, type ViewClass } from '../pages/view.ts'
import type { SiteApp } from '../site-app.ts'
import type { Access, Caller } from './access.ts'
import { isSame, sessionCookie } from './sessions.ts'

export const SIGN_IN = '/sign-in/'

/** Size of the form, which holds a token and the path to return to. */
const MOST_BYTES = 16_384
/** From the form's first byte to its last. */
const LONGEST_MS = 5_000

const HEADERS = {
  'cache-control': 'no-store',
  // Allows no scripts and no resources from elsewhere; the form can only be sent to this site.
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * A form that asks a browser for the token and gives it a session. Anyone may send it, so it does not count towards the
 * requests in flight and has limits of its own on size, time and number.
 */
export function signInPage({ surroundings }: Pick<SiteApp, 'surroundings'>, access: Access): ViewClass {
  const { guesses } = access
  return class SignIn extends View {
    override get(c: PageContext): Response {
      return signInForm(200, c.query.get('next') ?? '/')
    }

    override async post(c: PageContext): Promise<Response> {
      const { token } = access
      if (token === undefined) throw new PageError(404, 'There is no token to sign in with (web.token).')
      const over = guesses.formBegins(c.peer)
      try {
        const form = new URLSearchParams(await bodyOf(c.request, surroundings.clock))
        const next = pathHere(form.get('next'))
        const given = form.get('token') ?? ''
        if (isSame(given, token)) return signedIn(c, token, next)
        guesses.isWrong(c.peer, given, 'form')
        return signInForm(401, next, 'This is not the token.')
      } finally {
        over()
      }
    }
  }

  function signedIn(c: PageContext, token: string, next: string): Response {
    const isSecure = c.url.protocol === 'https:' || c.request.headers.get('x-forwarded-proto') === 'https'
    const cookie = sessionCookie(token, surroundings.clock.now(), isSecure)
    return new Response(null, { status: 303, headers: { ...HEADERS, location: next, 'set-cookie': cookie } })
  }
}

/** Rejects with a `PageError`: 413, 408, or 400. */
async function bodyOf(request: Request, clock: Clock): Promise<string> {
  const body = limitBody(request, { bytes: MOST_BYTES, idleMs: LONGEST_MS, clock })
  // Does not wait for the rest of the body.
  const headers = { connection: 'close' }
  const tooSlow = (): PageError => new PageError(408, `The form did not arrive within ${LONGEST_MS} ms.`, { headers })
  return withTimeout(body.text(), LONGEST_MS, clock, tooSlow)
}

/**
 * The sign-in page, shown to a browser in place of a page that it may not see; `undefined` for programs, which get an
 * error.
 */
export function signInInstead({ request, url }: Caller, access: Access): Response | undefined {
  const isBrowser = request.method === 'GET' && (request.headers.get('accept') ?? '').includes('text/html')
  return isBrowser && access.token !== undefined ? signInForm(401, url.pathname + url.search) : undefined
}

/** Only paths on this site; anything else leads to `/`. */
function pathHere(text: string | null): string {
  return text !== null && /^\/(?![/\\])[\x21-\x7e]*$/.test(text) ? text : '/'
}

function signInForm(status: number, next: string, problem = ''): Response {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Millrace</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { display: grid; place-items: center; min-height: 90vh; margin: 1rem }
  form { display: grid; gap: .75rem; width: min(22rem, 100%) }
  h1 { font-size: 1.25rem; margin: 0 }
  p { margin: 0 }
  input, button { font: inherit; padding: .5rem .75rem; border-radius: .375rem; border: 1px solid gray }
  button { cursor: pointer; background: #1f6feb; border-color: #1f6feb; color: white }
</style>
<form method="post" action="${SIGN_IN}">
  <h1>Millrace</h1>
  <label for="token">The token of this app (<code>web.token</code>)</label>
  <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
  <input name="next" type="hidden" value="${attribute(pathHere(next))}">
  ${problem === '' ? '' : `<p role="alert">${problem}</p>`}
  <button>Sign in</button>
</form>
</html>
`
  return new Response(html, { status, headers: { ...HEADERS, 'content-type': 'text/html; charset=utf-8' } })
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
