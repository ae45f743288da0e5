import { BlockList, isIP } from 'node:net'
import { MillraceError } from '../errors/millrace-error.ts'

/** The workers' addresses that `web.peers` allows. */
export interface PeerList {
  /** Whether the list names a URL's host, or a domain above it. */
  hasHost(hostname: string): boolean
  hasAddress(address: string): boolean
}

/** A domain name whose last label is not a number, because that would be read as an address. */
const HOST = /^(\*\.)?([a-z\d_]([a-z\d_-]*[a-z\d_])?\.)*[a-z_]([a-z\d_-]*[a-z\d_])?$/

/**
 * Reads ranges (`10.0.0.0/8`), addresses and host names, separated by commas. `*.` before a name covers all names below
 * it.
 *
 * @throws `SETTING_INVALID`, naming the entry
 * @example
 * parsePeerList('10.0.0.0/8, *.shop-headless').hasAddress('10.1.2.3') // true
 */
export function parsePeerList(text: string): PeerList {
  const addresses = new BlockList()
  const hosts = new Set<string>()
  for (const entry of text.split(',').map((each) => each.trim().toLowerCase())) {
    const [address = '', prefix, ...rest] = entry.split('/')
    const version = isIP(address)
    const bits = prefix === undefined ? undefined : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity
    if (version !== 0 && rest.length === 0 && (bits ?? 0) <= (version === 4 ? 32 : 128)) {
      const family = version === 4 ? 'ipv4' : 'ipv6'
      if (bits === undefined) addresses.addAddress(address, family)
      else addresses.addSubnet(address, bits, family)
    } else if (HOST.test(entry)) hosts.add(entry)
    else
      throw new MillraceError(
        'SETTING_INVALID',
        `Setting web.peers has '${entry}' in it; it takes ranges such as 10.0.0.0/8, addresses, and host names, without ports.`,
      )
  }
  return {
    hasHost(hostname) {
      const name = hostname.toLowerCase().replace(/\.$/, '')
      if (hosts.has(name)) return true
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
        if (hosts.has(`*${name.slice(dot)}`)) return true
      return false
    },
    hasAddress: (address) => addresses.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'),
  }
}
