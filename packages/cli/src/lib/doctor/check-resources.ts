import { constants, existsSync, statSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { toError } from '@millrace/core'
import { certificateFault, checkSiteTls } from '@millrace/core/http'
import type { OtherStore, RunningEnvironment } from '@millrace/core/operations'
import { failed, note, ok, wrong, type Finding } from './finding.ts'

/** Whether the port is free. If workers of the app run, one of them probably has it. */
export async function checkPorts({ web }: RunningEnvironment, hasWorkers: boolean): Promise<readonly Finding[]> {
  const { enabled, admin } = web
  const site = await checkPort({ ...web, setting: 'web.port' }, hasWorkers)
  if (!enabled || admin === undefined) return [site]
  return [site, await checkPort({ enabled, ...admin, setting: 'web.adminPort' }, hasWorkers)]
}

/** Whether the site can serve https and clients would trust it. */
export function checkCertificate({ web }: RunningEnvironment, nowMs: number): readonly Finding[] {
  const { enabled, tls } = web
  if (!enabled || tls === undefined) return []
  try {
    checkSiteTls(tls)
  } catch (error) {
    return [failed('web', error)]
  }
  const fault = certificateFault(tls.cert, nowMs)
  return fault === undefined
    ? [ok('web', 'The certificate and the private key of web.tls fit together, and are valid.')]
    : [
        wrong(
          'web',
          `The certificate in web.tls.cert ${fault}.`,
          'Have it renewed: clients and other workers refuse it.',
        ),
      ]
}

interface PortWanted extends Pick<RunningEnvironment['web'], 'enabled' | 'host' | 'port'> {
  readonly setting: 'web.port' | 'web.adminPort'
}

async function checkPort({ enabled, host, port, setting }: PortWanted, hasWorkers: boolean): Promise<Finding> {
  if (!enabled) return ok('web', 'The site is turned off.')
  if (port === 0) return ok('web', 'The site takes any free port.')
  const failure = await listenFailure(host, port)
  if (failure === undefined) return ok('web', `Port ${port} on ${host} is free.`)
  const detail = `Port ${port} on ${host} cannot be had: ${failure}.`
  if (hasWorkers && failure === 'EADDRINUSE') return note('web', `${detail} A worker of the app may have it.`)
  return wrong(
    'web',
    detail,
    setting === 'web.port'
      ? 'Choose another with web.port, --web-port or MILLRACE_WEB_PORT, or turn the site off with --no-web.'
      : 'Choose another with web.adminPort, --web-admin-port or MILLRACE_WEB_ADMIN_PORT.',
  )
}

function listenFailure(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

/** Whether the directories of log and store are writable or can be created. */
export async function checkDirectories({
  logDirectory,
  storeDirectory,
}: RunningEnvironment): Promise<readonly Finding[]> {
  const directories = [logDirectory, storeDirectory].filter((directory) => directory !== undefined)
  if (directories.length === 0) return [ok('data', 'The app keeps nothing on this disk.')]
  return Promise.all(directories.map(checkDirectory))
}

async function checkDirectory(directory: string): Promise<Finding> {
  const there = nearestExisting(directory)
  const fix =
    'Give the user that runs the worker the right to write there, or choose another place with --data-directory.'
  if (!statSync(there).isDirectory())
    return wrong('data', `${there} is no directory, so ${directory} cannot be made.`, fix)
  try {
    await access(there, constants.W_OK | constants.X_OK)
  } catch (error) {
    return wrong('data', `${there} cannot be written: ${toError(error).message}.`, fix)
  }
  return ok('data', there === directory ? `${directory} can be written.` : `${directory} can be made.`)
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path))
}

/** Stores of other formats keep a worker from starting, or waste space. */
export function checkStores(stores: readonly OtherStore[], { storeDirectory }: RunningEnvironment): readonly Finding[] {
  const fix = 'Delete it with: millrace clean-versions. Its rows are in the changelogs.'
  return stores.map(({ directory, format }) => {
    const detail = `${directory} is a store of another version (format ${format}).`
    return directory === storeDirectory ? wrong('stores', detail, fix) : note('stores', detail, fix)
  })
}
