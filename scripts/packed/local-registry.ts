import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** An npm registry on this machine. */
export interface LocalRegistry {
  readonly url: string
  /** Names of the packages that it has itself. */
  readonly names: readonly string[]
  close(): Promise<void>
}

interface Packed {
  readonly name: string
  readonly version: string
  readonly manifest: Readonly<Record<string, unknown>>
  readonly file: string
  readonly integrity: string
}

/**
 * Serves the tarballs of a directory as the latest release of their packages, and sends whoever asks for another package
 * on to `upstream`: so that `npm create`, `npm install` and `pnpm install` do what they do for a newcomer.
 */
export async function serveTarballs(directory: string, upstream: string): Promise<LocalRegistry> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.tgz'))
  const packed = new Map(
    (await Promise.all(files.map((name) => readTarball(join(directory, name))))).map((each) => [each.name, each]),
  )
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://registry').pathname).slice(1)
    const own = packed.get(path)
    const tarball = [...packed.values()].find(({ file }) => path === `tarballs/${file.slice(directory.length + 1)}`)
    if (own !== undefined) {
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify(
          packument(own, `http://${request.headers.host}/tarballs/${own.file.slice(directory.length + 1)}`),
        ),
      )
    } else if (tarball !== undefined) {
      readFile(tarball.file).then(
        (bytes) => response.end(bytes),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    } else {
      response.writeHead(302, { location: new URL(request.url?.slice(1) ?? '', upstream).href }).end()
    }
  })
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The registry has no port.')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    names: [...packed.keys()],
    close: () => {
      server.closeAllConnections()
      return new Promise((closed) => server.close(() => closed()))
    },
  }
}

async function readTarball(file: string): Promise<Packed> {
  const { stdout } = await run('tar', ['-xzOf', file, 'package/package.json'])
  const manifest: Readonly<Record<string, unknown>> = JSON.parse(stdout)
  const integrity = `sha512-${createHash('sha512')
    .update(await readFile(file))
    .digest('base64')}`
  return { name: String(manifest['name']), version: String(manifest['version']), manifest, file, integrity }
}

function packument({ name, version, manifest, integrity }: Packed, tarball: string): object {
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist: { tarball, integrity } } },
  }
}
