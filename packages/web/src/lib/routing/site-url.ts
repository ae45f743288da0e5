/**
 * Where a worker's site is, from the address it advertises: `host:port`, or a URL when something stands before it.
 *
 * @example
 * siteUrl('10.0.0.7:6066').origin // 'http://10.0.0.7:6066'
 */
export function siteUrl(address: string): URL {
  return new URL(/^https?:\/\//.test(address) ? address : `http://${address}`)
}
