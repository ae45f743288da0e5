import fc from 'fast-check'

/** A request before encoding. Texts are Latin-1: a character is a byte. */
interface Draft {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: readonly string[]
  readonly body: string
}

const HEX = (text: string): string => Buffer.from(text).toString('latin1')
const LONG = 'k'.repeat(6_000)

/** Texts that are inserted into a path or a query. */
const IN_TARGETS: readonly string[] = [
  '//',
  '/',
  '%2f',
  '%5c',
  '%00',
  '%0d%0aX:%20y',
  '%ff',
  '%c0%af',
  '%c0%ae%c0%ae/',
  '%e2%82',
  '%',
  '%zz',
  '?',
  '?key=',
  '&key=%ff',
  '#',
  ';a=b',
  ':',
  '@',
  '__proto__',
  'constructor',
  '{}',
  '"',
  '<script>',
  "'--",
  '%F0%9F%9A%80',
  LONG,
  '?'.concat('a=b&'.repeat(500)),
  'http://evil.example/',
  '*',
  '%252e%252e',
  '...',
  '%09',
  '$&',
  '&&=',
]

const METHODS: readonly string[] = ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'M-SEARCH', 'TRACE']

const HEADERS: readonly string[] = [
  'Origin: null',
  'Origin: http://evil.example',
  'Sec-Fetch-Site: cross-site',
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-Host: localhost',
  'X-Forwarded-Proto: https',
  'Forwarded: for=127.0.0.1',
  'Via: 1.1 a',
  'X-Real-IP: ::1',
  'Authorization: Bearer undefined',
  'Authorization: Basic Og==',
  'Cookie: millrace-session=9999999999999.aaaa',
  'Cookie: =; ;;',
  'millrace-forwarded: true',
  'millrace-forwarded: unsigned',
  'millrace-forwarded: v1.{"from":"x"}.AAAA',
  'millrace-action: x',
  'Accept: text/html',
  'Accept: \xff;q=a,*/*;q=1e999',
  'Accept: ,;,;q=',
  'If-None-Match: "',
  'Range: bytes=0-18446744073709551615',
  'Content-Type: application/json',
  'Content-Type: text/plain',
  'Content-Type: multipart/form-data; boundary=',
  'Content-Type: multipart/form-data; boundary=a',
  'Content-Type: application/x-www-form-urlencoded',
  'Content-Encoding: gzip',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'Connection: keep-alive',
  'Connection: host',
  'TE: trailers',
  'Trailer: Host',
  'X: \x80\xff',
  `X: ${LONG}`,
  'access-control-request-method: PUT',
  'access-control-request-headers: a,b',
  '__proto__: a',
  'constructor: a',
  'X:',
  'Upgrade: websocket',
]

/** After these targets a server ends the connection, or should. */
const LAST_TARGETS: readonly string[] = [
  '../',
  './',
  '%2e%2e/',
  '\\',
  ' ',
  '\t',
  '\x7f',
  '\x00',
  HEX('ü'),
  HEX('🚀'),
  '\n',
  '\r\n',
]

const LAST_METHODS: readonly string[] = ['get', 'BREW', 'PRI', 'CONNECT', '', 'GE T', 'G\x00ET', '\r\nGET', 'GET\t']

const LAST_HEADERS: readonly string[] = [
  'Host: evil.example',
  'Host: ',
  'Host: a b',
  'Host: [::1',
  'Host: localhost:99999',
  'Connection: close, host',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Content-Length: 7',
  'Content-Length: -1',
  'Content-Length: 1\r\nContent-Length: 2',
  ' folded: a',
  'X: a\r\n b',
  'X\x00: a',
  ': a',
  'X',
  'X: \x01',
  `X: ${LONG}${LONG}${LONG}`,
  'a: b\r\n'.repeat(250).concat('c: d'),
  'X: a\nb: c',
]

const VERSIONS: readonly string[] = [
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.1 ',
  'HTTP/1',
  'http/1.1',
  'ICY/1.1',
  '',
]

const BODIES: readonly string[] = [
  '{}',
  '[]',
  'null',
  '""',
  '{"all":true}',
  '{"partition":0,"offset":0}',
  '{"partition":-1,"offset":1e400}',
  '{"__proto__":{"all":true}}',
  '{"partition":"0","offset":"0"}',
  '{"key":1,"value":{}}',
  '{"key":"a","value":"\\ud800"}',
  '[',
  '{"a":',
  '['.repeat(5_000),
  '{"a":'.repeat(2_000),
  `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
  `"${LONG}"`,
  '1e99999',
  '\xef\xbb\xbf{}',
  '\x00',
  '\xff\xfe',
  HEX('{"ü":"🚀"}'),
  'token=wrong&next=//evil.example',
  'token=',
  '--a\r\nContent-Disposition: form-data; name="x"\r\n\r\ny',
  '--a--',
  '\x1f\x8b\x08\x00bomb',
  'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n',
  '0\r\n\r\n',
  '5;x=y\r\nhello\r\n0\r\n\r\n',
  'fffffffff\r\n',
]

/** A small change to a request; `pick` selects one of many. */
type Mutation = (draft: Draft, pick: number) => Draft

const MUTATIONS: readonly Mutation[] = [
  (draft, pick) => ({ ...draft, target: inserted(draft.target, at(IN_TARGETS, pick), pick >> 6) }),
  (draft, pick) => ({ ...draft, target: draft.target + at(IN_TARGETS, pick) }),
  (draft, pick) => ({ ...draft, method: at(METHODS, pick) }),
  (draft, pick) => ({ ...draft, headers: [...draft.headers, at(HEADERS, pick)] }),
  (draft, pick) => ({ ...draft, headers: [at(HEADERS, pick), ...draft.headers] }),
  (draft, pick) => withBody(draft, at(BODIES, pick)),
  (draft, pick) => withBody({ ...draft, method: 'POST' }, at(BODIES, pick)),
]

const LAST_MUTATIONS: readonly Mutation[] = [
  (draft, pick) => ({ ...draft, target: inserted(draft.target, at(LAST_TARGETS, pick), pick >> 4) }),
  (draft, pick) => ({ ...draft, method: at(LAST_METHODS, pick) }),
  (draft, pick) => ({ ...draft, headers: [...draft.headers, at(LAST_HEADERS, pick)] }),
  (draft, pick) => ({ ...draft, headers: draft.headers.toSpliced(pick % 3, 1, at(LAST_HEADERS, pick >> 2)) }),
  (draft, pick) => ({ ...draft, version: at(VERSIONS, pick) }),
  (draft, pick) => ({ ...draft, body: draft.body.slice(0, pick % 50) }),
]

/** Requests that mostly share a connection, and some that need their own. */
export interface MutatedRequests {
  readonly inRow: readonly string[]
  readonly alone: readonly string[]
}

/**
 * This many of each, made of one of `targets` by up to three changes; those with their own connection have one more
 * change, or another byte somewhere.
 */
export function mutatedRequests(
  targets: readonly string[],
  count: { readonly inRow: number; readonly alone: number },
): fc.Arbitrary<MutatedRequests> {
  const number = fc.nat(1 << 20)
  const changed = fc.tuple(number, fc.array(fc.tuple(number, number), { maxLength: 3 })).map(([base, changes]) => {
    const [method = 'GET', target = '/'] = at(targets, base).split(' ')
    const headers = ['Host: localhost', 'millrace-action: x']
    const plain: Draft = { method, target, version: 'HTTP/1.1', headers, body: '' }
    return changes.reduce((draft, [which, pick]) => at(MUTATIONS, which)(draft, pick), plain)
  })
  const broken = fc
    .tuple(changed, number, number)
    .map(([draft, which, pick]) =>
      which % 3 === 0 ? flipped(bytesOf(draft), pick) : bytesOf(at(LAST_MUTATIONS, which)(draft, pick)),
    )
  const many = (each: fc.Arbitrary<string>, length: number): fc.Arbitrary<string[]> =>
    fc.array(each, { minLength: length, maxLength: length })
  return fc.record({ inRow: many(changed.map(bytesOf), count.inRow), alone: many(broken, count.alone) })
}

function bytesOf({ method, target, version, headers, body }: Draft): string {
  return `${method} ${target} ${version}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`
}

function withBody(draft: Draft, body: string): Draft {
  const others = draft.headers.filter((header) => !header.startsWith('Content-Length: '))
  return { ...draft, headers: [...others, `Content-Length: ${body.length}`], body }
}

function inserted(text: string, piece: string, pick: number): string {
  // Behind the slash: without it there is no path.
  const place = 1 + (pick % text.length)
  return text.slice(0, place) + piece + text.slice(place)
}

function flipped(text: string, pick: number): string {
  const place = pick % text.length
  return text.slice(0, place) + String.fromCharCode((pick >> 4) & 0xff) + text.slice(place + 1)
}

function at<T>(list: readonly T[], pick: number): T {
  const found = list[pick % list.length]
  if (found === undefined) throw new Error('The list is empty.')
  return found
}
