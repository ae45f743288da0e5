import { resolve } from 'node:path'
import type { RunningEnvironment } from '../../operations/command-line.ts'
import type { SiteTls } from '../../contracts/web-driver.ts'
import { parseBrokerUrl, parseStoreUrl } from '../urls/urls.ts'
import type { ResolvedSettings } from './app-settings.ts'

/**
 * The ports and directories of this machine that an app with these settings uses.
 *
 * @param home directory of the app's package, which holds files unless a setting says otherwise
 * @param process number of the process, if it is one of several (`processes`): each has a store of its own. That of the
 * first is where a single process has it, so that it keeps its rows when there are more, and the others are below it.
 */
export function runningEnvironment(settings: ResolvedSettings, home: string, process = 0): RunningEnvironment {
  const { broker, store, dataDirectory, processes: count, shutdownTimeoutMs } = settings
  const { enabled, host, port, adminHost, adminPort, token, tls } = settings.web
  const admin = adminPort === undefined ? undefined : { host: adminHost, port: adminPort }
  const directory = (given?: string): string => resolve(given ?? dataDirectory ?? resolve(home, '.millrace'))
  const brokerUrl = typeof broker === 'string' ? parseBrokerUrl(broker) : undefined
  const storeUrl = typeof store === 'string' ? parseStoreUrl(store) : undefined
  return {
    web: { enabled, host, port, admin, token, tls: textsOf(tls), scheme: tls.cert === undefined ? 'http' : 'https' },
    dataDirectory: directory(),
    processes: { count, shutdownTimeoutMs },
    logDirectory: brokerUrl?.scheme === 'embedded' ? directory(brokerUrl.directory) : undefined,
    storeDirectory:
      storeUrl?.scheme === 'lmdb'
        ? resolve(directory(storeUrl.directory), 'tables', ...(process === 0 ? [] : [`p${process}`]))
        : undefined,
  }
}

function textsOf({ cert, key, passphrase, ca }: ResolvedSettings['web']['tls']): SiteTls | undefined {
  return cert === undefined || key === undefined
    ? undefined
    : { cert: cert.text, key: key.text, passphrase, ca: ca?.text }
}
