import ipaddr from 'ipaddr.js'

/**
 * IPv4 addresses at which a packet to an IPv6 address may arrive, by way of a translator or a tunnel. Empty for IPv4, for
 * `::ffff:…`, which is the IPv4 address itself, and for what is no address.
 *
 * @example
 * embeddedIPv4('2002:a9fe:a9fe::1') // ['169.254.169.254']
 */
export function embeddedIPv4(address: string): readonly string[] {
  if (!ipaddr.IPv6.isValid(address)) return []
  const parsed = ipaddr.IPv6.parse(address)
  const form = FORMS.find(({ isOf }) => isOf(parsed.parts))
  return form === undefined ? [] : form.read(parsed.toByteArray()).map((bytes) => bytes.join('.'))
}

/**
 * What attempts of a client are counted by: its IPv4 address, or the 64 bits that an IPv6 address has in common with all
 * others of one network, which one client may choose from. What is no address stays as it is.
 */
export function clientNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const client = ipaddr.process(address)
  if (client instanceof ipaddr.IPv4) return client.toString()
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${client.toNormalizedString().replace(/%.*/s, '')}/64`).toString()}/64`
}

interface EmbeddingForm {
  /** By the eight groups of 16 bits. */
  readonly isOf: (groups: readonly number[]) => boolean
  /** From the sixteen bytes. */
  readonly read: (bytes: readonly number[]) => readonly (readonly number[])[]
}

const startsWith =
  (...prefix: readonly number[]) =>
  (groups: readonly number[]): boolean =>
    prefix.every((group, at) => groups[at] === group)

const lastFour = (bytes: readonly number[]): readonly (readonly number[])[] => [bytes.slice(12)]

const FORMS: readonly EmbeddingForm[] = [
  // NAT64, and the prefix for a network's own: there the address may begin behind 48, 56, 64 or 96 bits, and skips byte 8.
  { isOf: startsWith(0x64, 0xff9b, 0, 0, 0, 0), read: lastFour },
  {
    isOf: startsWith(0x64, 0xff9b, 1),
    read: (bytes) => {
      const without = [...bytes.slice(0, 8), ...bytes.slice(9)]
      return [without.slice(6, 10), without.slice(7, 11), without.slice(8, 12), bytes.slice(12)]
    },
  },
  // 6to4.
  { isOf: startsWith(0x2002), read: (bytes) => [bytes.slice(2, 6)] },
  // Teredo: its server, and the client with all bits turned.
  {
    isOf: startsWith(0x2001, 0),
    read: (bytes) => [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)],
  },
  // ISATAP.
  { isOf: (groups) => ((groups[4] ?? 0) & 0xfdff) === 0 && groups[5] === 0x5efe, read: lastFour },
  // IPv4-translated.
  { isOf: startsWith(0, 0, 0, 0, 0xffff, 0), read: lastFour },
  // IPv4-compatible, but for the unspecified address and the loopback.
  {
    isOf: (groups) => startsWith(0, 0, 0, 0, 0, 0)(groups) && !(groups[6] === 0 && (groups[7] ?? 0) <= 1),
    read: lastFour,
  },
]
