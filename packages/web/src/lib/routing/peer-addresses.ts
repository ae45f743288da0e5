import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { parsePeerList, type PeerList, redactUrl } from '@millrace/core'
import { embeddedIPv4 } from '../access/ip-address.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'

/** Thrown for an address from the group's data that requests must not go to. */
export class AddressRefused extends Error {
  override readonly name: string = 'AddressRefused'
}

/** Addresses that are never a worker's, whatever `web.peers` says. */
const NEVER = blockList([
  // Unspecified, and "this network".
  ['0.0.0.0', 8],
  ['::', 128],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
  ['ff00::', 8],
  // Where cloud providers serve a machine its own credentials.
  ['169.254.169.254', 32],
  ['169.254.170.2', 32],
  ['169.254.170.23', 32],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['fd00:ec2::254', 128],
  ['fd00:ec2::23', 128],
  ['fd20:ce::254', 128],
])
const LINK_LOCAL = blockList([
  ['169.254.0.0', 16],
  ['fe80::', 10],
])
const LOOPBACK = blockList([
  ['127.0.0.0', 8],
  ['::1', 128],
])

/** As `dns.lookup`. */
export type Resolve = (
  hostname: string,
  options: { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, found: readonly LookupAddress[]) => void,
) => void

export interface PeerAddressesParts {
  readonly site: Pick<SiteApp, 'surroundings'>
  /** Addresses of this process. */
  readonly workers: { all(): readonly Pick<SiteWorker, 'address'>[] }
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
}

/**
 * Decides where requests to other workers may go. Members of the group advertise their addresses, and anyone who can
 * join the group can advertise any address. Unchecked, a worker would send clients' requests, with their cookies,
 * wherever a member likes. `web.peers` says where the workers are.
 */
export class PeerAddresses {
  readonly #parts: PeerAddressesParts
  readonly #resolve: Resolve
  #list: { readonly text: string; readonly list: PeerList } | undefined

  constructor(parts: PeerAddressesParts) {
    this.#parts = parts
    this.#resolve = parts.resolve ?? lookUp
  }

  /**
   * The URL of a site that may be asked. `lookup` checks a host name again once it is resolved.
   *
   * @throws `AddressRefused`
   */
  check(address: string): URL {
    const refuse = (reason: string): never => {
      throw new AddressRefused(`${redactUrl(address)} ${reason}`)
    }
    if (/^[a-z][\w+.-]*:\/\//i.test(address) && !/^https?:\/\//i.test(address))
      return refuse('is neither http nor https')
    let url: URL
    try {
      url = siteUrl(address)
    } catch {
      return refuse('is no host and port')
    }
    if (url.username !== '' || url.password !== '') return refuse('has credentials in it')
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    const reason = isIP(host) === 0 ? undefined : this.#objection(host, host)
    return reason === undefined ? url : refuse(reason)
  }

  /** Why `check` refuses an address; `undefined` when it does not. */
  refusal(address: string): string | undefined {
    try {
      this.check(address)
      return undefined
    } catch (error) {
      if (error instanceof AddressRefused) return error.message
      throw error
    }
  }

  /**
   * For sockets: resolves a name to its permitted addresses. The check and the connection use the same lookup, so a
   * later DNS change cannot redirect the request. Fails with `AddressRefused` if no address is permitted.
   */
  readonly lookup: LookupFunction = (hostname, options, done) => {
    this.#resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, [])
      const objections = found.map(({ address }) => this.#objection(hostname, address))
      const allowed = found.filter((_, at) => objections[at] === undefined)
      const [first] = allowed
      if (first === undefined) {
        const shown = found.map(({ address }) => address).join(', ')
        return done(new AddressRefused(`${hostname} is at ${shown}, which ${objections[0] ?? 'is nowhere'}`), [])
      }
      if (options.all === true) done(null, [...allowed])
      else done(null, first.address, first.family)
    })
  }

  /** The objection to an address, as the end of a sentence; nothing if it is permitted. */
  #objection(host: string, address: string): string | undefined {
    const bare = address.replace(/%.*/s, '')
    // A translator or a tunnel may lead to a machine's own addresses, but never to a worker.
    const isHidden = (inner: string): boolean => [NEVER, LINK_LOCAL, LOOPBACK].some((list) => has(list, inner))
    if (has(NEVER, bare) || embeddedIPv4(bare).some(isHidden))
      return 'is an address of no worker: unspecified, multicast, broadcast or of a metadata service'
    const list = this.#peers()
    if (list !== undefined) return list.hasHost(host) || list.hasAddress(bare) ? undefined : 'is not in web.peers'
    if (has(LINK_LOCAL, bare)) return 'is a link-local address that web.peers does not have'
    if (has(LOOPBACK, bare) && !this.#areOnLoopback())
      return 'is the loopback, while this worker is reached from outside'
    return undefined
  }

  /** Looked up on use, because settings are settled when the app starts. */
  #peers(): PeerList | undefined {
    const text = this.#parts.site.surroundings.settings.web.peers
    if (text === undefined) return undefined
    if (this.#list?.text !== text) this.#list = { text, list: parsePeerList(text) }
    return this.#list.list
  }

  /** Other workers reach this process on the loopback, so all workers are on this machine. */
  #areOnLoopback(): boolean {
    return this.#parts.workers.all().some((worker) => {
      const address = worker.address()
      if (address === undefined) return false
      const host = siteUrl(address).hostname.replace(/^\[(.*)\]$/, '$1')
      return host === 'localhost' || has(LOOPBACK, host)
    })
  }
}

/**
 * The address of a worker's site as it advertises it: `host:port`, or a URL if it is behind a proxy.
 *
 * @example
 * siteUrl('10.0.0.7:6066').origin // 'http://10.0.0.7:6066'
 */
export function siteUrl(address: string): URL {
  return new URL(/^https?:\/\//i.test(address) ? address : `http://${address}`)
}

function has(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function blockList(ranges: readonly (readonly [net: string, prefix: number])[]): BlockList {
  const list = new BlockList()
  for (const [net, prefix] of ranges) list.addSubnet(net, prefix, isIP(net) === 6 ? 'ipv6' : 'ipv4')
  return list
}
