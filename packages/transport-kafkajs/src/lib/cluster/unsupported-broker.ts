import { APIS, type Api } from '../wire/wire-request.ts'

/** What a broker says that it takes, by the key of the request. */
export type BrokerVersions = Readonly<
  Record<number, { readonly minVersion: number; readonly maxVersion: number } | undefined>
>

/** Why this driver cannot speak with a broker, to follow its address; `undefined` when it can. */
export function unsupportedBroker(versions: BrokerVersions | null): string | undefined {
  const range = ({ key }: Api): { readonly minVersion: number; readonly maxVersion: number } =>
    versions?.[key] ?? { minVersion: 0, maxVersion: -1 }
  const tooOld = Object.values(APIS).find((api) => range(api).maxVersion < api.version)
  if (tooOld !== undefined)
    return `has no ${tooOld.name} request of version ${tooOld.version}: Kafka 2.8 or later is needed`
  const tooNew = Object.values(APIS).find((api) => range(api).minVersion > api.version)
  if (tooNew !== undefined)
    return `takes ${tooNew.name} requests from version ${range(tooNew).minVersion} on, and this release sends ${tooNew.version}`
  return undefined
}
