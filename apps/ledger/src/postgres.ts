import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGuard } from '@millrace/kafka-for-tests/guard'
import { eventually } from '@millrace/conformance'
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'

/** Where Debian's package has its programs; `POSTGRES_BIN` is another place. */
const DEBIAN = '/usr/lib/postgresql'
/** Nothing of these tests is to outlive the machine. */
const QUICK = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'shared_buffers=32MB', 'jit=off']

/** A Postgres of the tests. */
export interface Postgres {
  readonly db: pg.Pool
  /** For another process that is to connect to it. */
  readonly env: Readonly<Record<string, string>>
}

/** Tests that need a real Postgres, which is started once for them: skipped where there is none, loudly; in CI they fail. */
export function describePostgres(name: string, tests: (postgres: () => Postgres) => void): void {
  const programs = programsOf()
  if (programs === undefined && process.env['CI'] !== 'true') {
    console.warn(`NOT TESTED with Postgres: ${name}. There is none: apt-get install postgresql, or set POSTGRES_BIN.`)
    describe.skip(name, () => {
      tests(() => thereIsNone())
    })
    return
  }
  describe(name, () => {
    let running: RunningPostgres | undefined
    beforeAll(async () => {
      running = await startPostgres(programs ?? thereIsNone())
    })
    afterAll(() => running?.stop())
    tests(() => running ?? thereIsNone())
  })
}

function thereIsNone(): never {
  throw new Error(`There is no Postgres: apt-get install postgresql, or set POSTGRES_BIN.`)
}

function programsOf(): string | undefined {
  const given = process.env['POSTGRES_BIN']
  if (given !== undefined) return given
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((version) => /^\d+$/.test(version)) : []
  const newest = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN, version, 'bin'))
  return newest.find((directory) => existsSync(join(directory, 'initdb')))
}

interface RunningPostgres extends Postgres {
  stop(): Promise<void>
}

/** On a socket in a directory of its own. It ends with this process, whatever becomes of that. */
async function startPostgres(programs: string): Promise<RunningPostgres> {
  // Postgres does not run as root.
  const user = process.getuid?.() === 0 ? userNamed('postgres') : undefined
  const directory = mkdtempSync(join(tmpdir(), 'postgres-'))
  if (user !== undefined) chownSync(directory, user.uid, user.gid)
  const guard = startGuard()
  guard.stdin.write(`directory ${directory}\n`)
  const data = join(directory, 'data')
  const rights = { ...user, cwd: directory, stdio: 'pipe' } as const
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'ledger', '--auth=trust', '--no-sync', '--no-instructions'],
    rights,
  )
  const settings = [...QUICK, 'listen_addresses=', `unix_socket_directories=${directory}`]
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    rights,
  )
  guard.stdin.write(`pid ${server.pid}\n`)
  const said = outputOf(server)
  const env = { PGHOST: directory, PGUSER: 'ledger', PGDATABASE: 'postgres' }
  const db = new pg.Pool({ host: directory, user: 'ledger', database: 'postgres', max: 2 })
  const stop = async (): Promise<void> => {
    // Connections that are not gone yet when the server goes.
    db.on('error', () => {})
    await db.end()
    server.kill('SIGINT')
    if (server.exitCode === null) await once(server, 'exit')
    rmSync(directory, { recursive: true, force: true })
    guard.stdin.end('released\n')
  }
  try {
    await eventually(() => said().includes('ready to accept connections') || server.exitCode !== null, {
      what: 'Postgres to start',
    })
    if (server.exitCode !== null) throw new Error(`Postgres has ended: ${said()}`)
  } catch (error) {
    await stop()
    throw error
  }
  return { db, env, stop }
}

function outputOf(server: ChildProcess): () => string {
  let output = ''
  const hear = (chunk: Buffer): void => void (output += chunk.toString())
  server.stdout?.on('data', hear)
  server.stderr?.on('data', hear)
  return () => output
}

function userNamed(name: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
