import ipaddr from 'ipaddr.js'

/**
 * IPv4 addresses that a packet to an IPv6 address may reach through a translator or a tunnel. Empty for IPv4, for
 * `::ffff:…` (the IPv4 address itself), and for text that is not an address.
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
 * The key that a client's attempts are counted under: its IPv4 address, or the first 64 bits of its IPv6 address, since
 * one client can usually choose the rest. Text that is not an address is returned unchanged.
 */
export function clientNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const client = ipaddr.process(address)
  if (client instanceof ipaddr.IPv4) return client.toString()
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${client.toNormalizedString().replace(/%.*/s, '')}/64`).toString()}/64`
}

interface EmbeddingForm {
  /** From the eight groups of 16 bits. */
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
  // NAT64, including a network's own prefix, where the address may begin after 48, 56, 64 or 96 bits and skips byte 8.
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
  // Teredo: the server, and the client with its bits inverted.
  {
    isOf: startsWith(0x2001, 0),
    read: (bytes) => [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)],
  },
  // ISATAP.
  { isOf: (groups) => ((groups[4] ?? 0) & 0xfdff) === 0 && groups[5] === 0x5efe, read: lastFour },
  // IPv4-translated.
  { isOf: startsWith(0, 0, 0, 0, 0xffff, 0), read: lastFour },
  // IPv4-compatible, except the unspecified address and the loopback.
  {
    isOf: (groups) => startsWith(0, 0, 0, 0, 0, 0)(groups) && !(groups[6] === 0 && (groups[7] ?? 0) <= 1),
    read: lastFour,
  },
]
