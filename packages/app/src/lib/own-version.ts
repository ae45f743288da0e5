import { readFileSync } from 'node:fs'

/** Version of this package. The manifest is one level above `src/lib` and `dist/lib` alike. */
export function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : ''
}
