/**
 * A name of settings and parameters as it is typed after two dashes.
 *
 * @example
 * kebabCase('maxLatency') // 'max-latency'
 * kebabCase('web.port') // 'web-port'
 */
export function kebabCase(name: string): string {
  return name
    .replaceAll('.', '-')
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()
}
