import { networkInterfaces } from 'node:os'

/** Where a worker listens, and what its settings say of how others reach it. */
export interface BoundAddress {
  readonly host: string
  readonly port: number
  /** `web.advertise`. */
  readonly advertise: string | undefined
}

const EVERYWHERE = ['0.0.0.0', '::', '']

/**
 * Host and port at which other workers reach this one: as advertised, with the bound port where none is named; else the
 * address it is bound to; else, bound to all of them, the first IPv4 address that is not internal.
 */
export function ownAddress(
  { host, port, advertise }: BoundAddress,
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): string {
  if (advertise !== undefined) return hasPort(advertise) ? advertise : `${bracketed(advertise)}:${port}`
  if (!EVERYWHERE.includes(host)) return `${bracketed(host)}:${port}`
  const outside = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  return `${outside?.address ?? '127.0.0.1'}:${port}`
}

/** For a person at this machine. */
export function localUrl({ host, port }: Pick<BoundAddress, 'host' | 'port'>): string {
  return `http://${EVERYWHERE.includes(host) ? 'localhost' : bracketed(host)}:${port}/`
}

function hasPort(address: string): boolean {
  return /^https?:\/\//.test(address) || /^(\[[^\]]*\]|[^:]*):\d+$/.test(address)
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
