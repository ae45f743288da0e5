import { resolve } from 'node:path'
import type { RunningEnvironment } from '../../operations/command-line.ts'
import type { SiteTls } from '../../contracts/web-driver.ts'
import { parseBrokerUrl, parseStoreUrl } from '../urls/urls.ts'
import type { ResolvedSettings } from './app-settings.ts'

/**
 * The ports and directories of this machine that an app with these settings uses.
 *
 * @param home directory of the app's package, which holds files unless a setting says otherwise
 */
export function runningEnvironment(settings: ResolvedSettings, home: string): RunningEnvironment {
  const { broker, store, dataDirectory } = settings
  const { enabled, host, port, adminHost, adminPort, token, tls } = settings.web
  const admin = adminPort === undefined ? undefined : { host: adminHost, port: adminPort }
  const directory = (given?: string): string => resolve(given ?? dataDirectory ?? resolve(home, '.millrace'))
  const brokerUrl = typeof broker === 'string' ? parseBrokerUrl(broker) : undefined
  const storeUrl = typeof store === 'string' ? parseStoreUrl(store) : undefined
  return {
    web: { enabled, host, port, admin, token, tls: textsOf(tls), scheme: tls.cert === undefined ? 'http' : 'https' },
    dataDirectory: directory(),
    logDirectory: brokerUrl?.scheme === 'embedded' ? directory(brokerUrl.directory) : undefined,
    storeDirectory: storeUrl?.scheme === 'lmdb' ? resolve(directory(storeUrl.directory), 'tables') : undefined,
  }
}

function textsOf({ cert, key, passphrase, ca }: ResolvedSettings['web']['tls']): SiteTls | undefined {
  return cert === undefined || key === undefined
    ? undefined
    : { cert: cert.text, key: key.text, passphrase, ca: ca?.text }
}
