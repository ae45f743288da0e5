import { hostname } from 'node:os'
import { MillraceError } from '../errors/millrace-error.ts'
import { parsePeerList } from '../urls/peer-list.ts'
import { isLocalBroker } from '../urls/urls.ts'
import type { SettingName } from './setting-declarations.ts'

/** Values read so far, by name; durations in milliseconds. */
export type SettingValues = Map<SettingName, unknown>

const LONGEST_HEARTBEAT_MS = 3000
const COMMIT_MS = 1000
const EXACTLY_ONCE_COMMIT_MS = 100
const SHORTEST_SECRET = 16

/** Fills in the settings whose default depends on others. */
export function deriveSettings(values: SettingValues): void {
  derive(values, 'commitInterval', () =>
    values.get('processingGuarantee') === 'exactly-once' ? EXACTLY_ONCE_COMMIT_MS : COMMIT_MS,
  )
  derive(values, 'heartbeatInterval', () =>
    Math.min(LONGEST_HEARTBEAT_MS, Math.floor(number(values, 'sessionTimeout') / 3)),
  )
  derive(values, 'rack', () => hostname())
  derive(values, 'web.host', () => (isLocalBroker(String(values.get('broker'))) ? '127.0.0.1' : '0.0.0.0'))
  derive(values, 'web.adminHost', () => values.get('web.host'))
  derive(values, 'web.maxRequests', () => Math.floor(number(values, 'web.maxConnections') / 2))
  derive(values, 'web.maxWatches', () => Math.floor(number(values, 'web.maxConnections') / 4))
  derive(values, 'kafka.ssl.enabled', () =>
    (['kafka.ssl.ca', 'kafka.ssl.cert', 'kafka.ssl.key', 'kafka.ssl.servername'] as const).some(
      (name) => values.get(name) !== undefined,
    ),
  )
}

/** Refuses settings that contradict each other. */
export function checkSettings(values: SettingValues): void {
  longer(values, 'sessionTimeout', 'heartbeatInterval')
  // Otherwise each fetch without data would look like a lost connection.
  longer(values, 'kafka.requestTimeout', 'kafka.maxFetchWait')
  checkRebalance(values)
  checkWebLimits(values)
  if (values.get('processingGuarantee') === 'exactly-once') {
    longer(values, 'transactionTimeout', 'commitInterval')
    if (values.get('isolation') !== 'read-committed')
      throw new MillraceError(
        'SETTING_INVALID',
        `Setting isolation is '${String(values.get('isolation'))}'; with processingGuarantee 'exactly-once' it must be 'read-committed', because a record outside of committed transactions may never have been sent.`,
      )
  }
  checkSasl(values)
  if (values.get('schemaRegistry') === 'memory:' && values.get('broker') !== 'memory:')
    throw new MillraceError(
      'SETTING_INVALID',
      "Setting schemaRegistry is 'memory:', which forgets its schemas at the end of the process, while the records of this broker stay: it takes broker 'memory:', too.",
    )
  const advertise = values.get('web.advertise')
  if (typeof advertise === 'string' && advertise.includes('@'))
    throw new MillraceError(
      'SETTING_INVALID',
      'Setting web.advertise has an @ in it; it takes a host and a port, which every worker is told and pages show, and no credentials.',
    )
  checkProcesses(values)
  const peers = values.get('web.peers')
  if (typeof peers === 'string') parsePeerList(peers)
  for (const [name, by] of [
    ['web.secret', 'from one request'],
    ['web.token', 'by whoever reaches the site'],
  ] as const) {
    const given = values.get(name)
    if (typeof given === 'string' && given.length < SHORTEST_SECRET)
      throw new MillraceError(
        'SETTING_INVALID',
        `Setting ${name} is shorter than ${SHORTEST_SECRET} characters: it could be guessed ${by}. Take 32 random bytes: openssl rand -base64 32.`,
      )
  }
  checkWebTls(values)
  checkAdminPort(values)
}

function derive(values: SettingValues, name: SettingName, value: () => unknown): void {
  if (values.get(name) === undefined) values.set(name, value())
}

function longer(values: SettingValues, longerName: SettingName, shorterName: SettingName): void {
  const longerMs = number(values, longerName)
  const shorterMs = number(values, shorterName)
  if (longerMs > shorterMs) return
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting ${longerName} is ${longerMs} ms; it must be longer than ${shorterName}, which is ${shorterMs} ms.`,
  )
}

/** A worker's steps between a rebalance and rejoining must fit into the time for which the group waits. */
function checkRebalance(values: SettingValues): void {
  const [rebalanceMs, drainMs, heartbeatMs] = [
    number(values, 'rebalanceTimeout'),
    number(values, 'drainTimeout'),
    number(values, 'heartbeatInterval'),
  ]
  const commitMs = rebalanceMs / 2
  const sumMs = heartbeatMs + drainMs + commitMs
  if (sumMs <= rebalanceMs) return
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting rebalanceTimeout is ${rebalanceMs} ms, and a worker may take ${sumMs} ms in a rebalance: ${heartbeatMs} ms until it hears of it (heartbeatInterval), ${drainMs} ms until its events have finished (drainTimeout), ${commitMs} ms for its last commit (half of rebalanceTimeout). Make rebalanceTimeout ${2 * (heartbeatMs + drainMs)} ms or longer, or drainTimeout shorter.`,
  )
}

/** If every connection had a request, a probe could replace none. */
function checkWebLimits(values: SettingValues): void {
  const [requests, connections] = [number(values, 'web.maxRequests'), number(values, 'web.maxConnections')]
  if (requests < connections) return
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting web.maxRequests is ${requests}; it must be less than web.maxConnections, which is ${connections}, so that probes can always connect.`,
  )
}

function checkAdminPort(values: SettingValues): void {
  const [adminHost, host] = [values.get('web.adminHost'), values.get('web.host')]
  if (values.get('web.adminPort') === undefined) {
    if (adminHost === host) return
    // An operator who binds the admin pages to one address must not find them at the other.
    throw new MillraceError(
      'SETTING_INVALID',
      `Setting web.adminPort is missing: web.adminHost is '${String(adminHost)}', and without a port of their own all pages are at web.host, '${String(host)}'.`,
    )
  }
  const [admin, port] = [number(values, 'web.adminPort'), number(values, 'web.port')]
  if (port === 0) return
  if (admin === port)
    throw new MillraceError('SETTING_INVALID', `Setting web.adminPort is ${port}, and so is web.port: give it another.`)
  // Workers ask one another for built-in pages, which that port does not have.
  const advertise = values.get('web.advertise')
  if (typeof advertise === 'string' && advertise.endsWith(`:${port}`))
    throw new MillraceError(
      'SETTING_INVALID',
      `Setting web.advertise names web.port, ${port}; workers reach one another at web.adminPort: name ${admin}.`,
    )
}

/** Each process has a port of its own for other workers, so one advertised port would lead to any of them. */
function checkProcesses(values: SettingValues): void {
  const [processes, advertise] = [values.get('processes'), values.get('web.advertise')]
  if (processes === 1 || typeof advertise !== 'string' || !/:\d+\/?$/.test(advertise)) return
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting web.advertise names a port, and processes is ${String(processes)}: each process has its own. Name the host alone, and set web.processPort if other workers can reach only certain ports.`,
  )
}

function checkWebTls(values: SettingValues): void {
  const has = (name: SettingName): boolean => values.get(name) !== undefined && values.get(name) !== false
  const needs = (name: SettingName, needed: SettingName, why: string): void => {
    if (has(name) && !has(needed))
      throw new MillraceError('SETTING_INVALID', `Setting ${needed} is missing: ${name} is given, ${why}.`)
  }
  needs('web.tls.cert', 'web.tls.key', 'and a certificate is of no use without its private key')
  for (const name of ['key', 'passphrase', 'ca', 'servername', 'clientCertificates'] as const)
    needs(`web.tls.${name}`, 'web.tls.cert', 'and without a certificate the site is served over http')
  needs('web.tls.clientCertificates', 'web.tls.ca', 'which clients must be signed by')
  if (has('web.tls.cert') && String(values.get('web.advertise')).startsWith('http://'))
    throw new MillraceError(
      'SETTING_INVALID',
      'Setting web.advertise begins with http://, and with web.tls the site is served over https alone: leave the scheme out.',
    )
}

function checkSasl(values: SettingValues): void {
  const mechanism = values.get('kafka.sasl.mechanism')
  const given = (['kafka.sasl.username', 'kafka.sasl.password', 'kafka.sasl.token'] as const).filter(
    (name) => values.get(name) !== undefined,
  )
  if (mechanism === undefined) {
    if (given[0] === undefined) return
    throw new MillraceError(
      'SETTING_INVALID',
      `Setting ${given[0]} is given without kafka.sasl.mechanism, which says how to use it.`,
    )
  }
  const needed =
    mechanism === 'oauthbearer'
      ? (['kafka.sasl.token'] as const)
      : (['kafka.sasl.username', 'kafka.sasl.password'] as const)
  const missing = needed.find((name) => values.get(name) === undefined)
  if (missing !== undefined)
    throw new MillraceError('SETTING_INVALID', `Setting ${missing} is missing; this kafka.sasl.mechanism needs it.`)
}

function number(values: SettingValues, name: SettingName): number {
  const value = values.get(name)
  if (typeof value !== 'number') throw new MillraceError('SETTING_INVALID', `Setting ${name} has no value.`)
  return value
}
