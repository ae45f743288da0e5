import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { parsePeerList, type PeerList, redactUrl } from '@millrace/core'
import { embeddedIPv4 } from '../access/ip-address.ts'
import type { SiteApp, SiteWorker } from '../site-app.ts'

/** An address in the group's data to which nothing is sent. */
export class AddressRefused extends Error {
  override readonly name: string = 'AddressRefused'
}

/** Of no worker, whatever `web.peers` says. */
const NEVER = blockList([
  // Unspecified, and "this network".
  ['0.0.0.0', 8],
  ['::', 128],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
  ['ff00::', 8],
  // Where clouds tell a machine its own credentials.
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
  /** Of this process. */
  readonly workers: { all(): readonly Pick<SiteWorker, 'address'>[] }
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
}

/**
 * Where requests to other workers may go. The addresses are those that the members of the group give, and whoever may join
 * the group can give any: without a look at them a worker would send requests of clients, with their cookies, wherever he
 * likes. `web.peers` says where the workers are.
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
   * The URL of a site that may be asked. A host that is a name is looked at again by `lookup`.
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
   * For sockets: resolves a name to those of its addresses that may be asked, so that what was looked at is what is connected
   * to, whatever the name resolves to next. Fails with `AddressRefused` when none may be.
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

  /** What speaks against an address, as the end of a sentence; nothing when it may be asked. */
  #objection(host: string, address: string): string | undefined {
    const bare = address.replace(/%.*/s, '')
    // Behind a translator or a tunnel there may be a machine's own addresses, but no worker's.
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

  /** Looked up when it is used: settings are settled when the app starts. */
  #peers(): PeerList | undefined {
    const text = this.#parts.site.surroundings.settings.web.peers
    if (text === undefined) return undefined
    if (this.#list?.text !== text) this.#list = { text, list: parsePeerList(text) }
    return this.#list.list
  }

  /** Other workers reach this process on the loopback: all are on this machine. */
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
 * Where a worker's site is, from the address it advertises: `host:port`, or a URL when something stands before it.
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
