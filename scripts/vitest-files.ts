import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vitest/config'

/** Where there are tests. */
export const TEST_PLACES: readonly string[] = [
  'packages/*/src',
  'packages/create-stream-app/templates/*/src',
  'apps/*/src',
  'apps/*/test',
  'bench/kafka-streams/src',
  'bench/verifier/src',
  'scripts',
  'docs',
]
/** What takes a broker, processes, a browser or many seconds says so in its name. */
export const SLOW_TESTS = '{process,*.{browser,embedded,kafka,long,process}}.test.ts'
/** Of the packages as they are published, outside the workspace: not part of `npm test`, but of `.ci/run`. */
export const PACKED_TESTS = '**/*.packed.test.ts'

/** A test loads its own package from the sources, and the others from a file each: import name → file. */
export function bundledPackagesPlugin(packages: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'bundled-packages',
    enforce: 'pre',
    resolveId: (name, importer) => {
      const file = packages.get(name)
      return file === undefined || importer?.startsWith(sourcesOf(name)) === true ? undefined : file
    },
  }
}

/** The directory of a package, by the name of one of its entries. */
function sourcesOf(entry: string): string {
  const [, name = entry] = entry.split('/')
  return fileURLToPath(new URL(`../packages/${name}/`, import.meta.url))
}
