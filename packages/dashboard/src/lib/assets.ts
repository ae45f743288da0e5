import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Files of the page. The relative path is the same from `src/lib` and `dist/lib`. */
const OWN: ReadonlySet<string> = new Set([
  'index.html',
  'page.css',
  'page.js',
  'patch.js',
  'format.js',
  'figures.js',
  'flow.js',
  'merge.js',
  'tables.js',
  'topics.js',
  'windows.js',
  'dom.js',
  'actions.js',
  'icon.svg',
])
/** Files of the charts package. */
const CHARTS = { 'uplot.js': 'uplot/dist/uPlot.iife.min.js' } as const

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Allows resources from the site only, and nothing inline. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

interface Asset {
  readonly bytes: Buffer
  readonly type: string
  readonly tag: string
}

/** Serves the files of the page. Each is read on its first request. */
export class Assets {
  readonly #known = new Map<string, Promise<Asset>>()

  /** `undefined` if there is no such file. */
  async answer(request: Request, name: string): Promise<Response | undefined> {
    const path = pathOf(name)
    if (path === undefined) return undefined
    const { bytes, type, tag } = await this.#read(name, path)
    const headers = {
      'content-type': type,
      etag: tag,
      // Browsers revalidate each time, and download a file only if it has changed.
      'cache-control': 'no-cache',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    }
    const known = request.headers
      .get('if-none-match')
      ?.split(',')
      .map((each) => each.trim().replace(/^W\//, ''))
    if (known?.includes(tag) === true) return new Response(null, { status: 304, headers })
    return new Response(bytes, { headers: { ...headers, 'content-length': String(bytes.length) } })
  }

  #read(name: string, path: string): Promise<Asset> {
    let reading = this.#known.get(name)
    if (reading === undefined) this.#known.set(name, (reading = readAsset(path)))
    reading.catch(() => this.#known.delete(name))
    return reading
  }
}

function pathOf(name: string): string | undefined {
  if (OWN.has(name)) return fileURLToPath(new URL(`../../assets/${name}`, import.meta.url))
  if (!Object.hasOwn(CHARTS, name)) return undefined
  return createRequire(import.meta.url).resolve(CHARTS[name as keyof typeof CHARTS])
}

async function readAsset(path: string): Promise<Asset> {
  const bytes = await readFile(path)
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 16)}"`
  return { bytes, tag, type: TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream' }
}
