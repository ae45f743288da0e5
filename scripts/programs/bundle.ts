import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'

export interface Bundle {
  /** Code and source maps: path → text. Each entry has its name there, with `.mjs`. */
  readonly files: ReadonlyMap<string, string>
  /** What they were made of: path → text. */
  readonly sources: ReadonlyMap<string, string>
}

/**
 * Joins each of some TypeScript files (name → path) with all that it imports from the workspace. What several of them
 * import, and what is imported later or never, is in files of its own beside theirs. Installed packages stay outside, named
 * by their paths, but for `JOINED`, and so do those of the workspace of which `packages` has the file (import name → path).
 * `directory` is where the files will be; their maps name the sources from there.
 */
export async function bundle(
  entries: ReadonlyMap<string, string>,
  directory: string,
  packages: ReadonlyMap<string, string> = new Map(),
): Promise<Bundle> {
  const sources = new Map<string, string>()
  const { outputFiles } = await build({
    entryPoints: Object.fromEntries(entries),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    write: false,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // Node's own alone: without this esbuild takes builds that are made for bundlers, which Node cannot load.
    conditions: [],
    // As tsx does: the names of classes and functions are in logs and dead letters.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    define: { 'import.meta': META },
    banner: { js: REQUIRE },
    plugins: [outside(packages), readingInto(sources)],
    logLevel: 'silent',
  })
  return { files: new Map(outputFiles.map(({ path, text }) => [path, text])), sources }
}

const META = '__sourceMeta'

/** Installed packages that are many files each: a process that loads them joined starts a quarter sooner. */
const JOINED: ReadonlySet<string> = new Set(['cron-parser', 'kafkajs', 'prom-client'])
/** What they ask Node's modules for. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"
/** Of code that is not ours: node would read the maps of all of it at each start. */
const NO_MAP = `\n//# sourceMappingURL=data:application/json,${encodeURIComponent('{"version":3,"sources":[""],"mappings":"A"}')}`

/** Reads sources, and gives those that ask for it the `import.meta` that they would have by themselves. */
function readingInto(sources: Map<string, string>): Plugin {
  return {
    name: 'sources',
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.[mc]?[jt]s$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8')
        if (isInstalled(path)) return { contents: text + NO_MAP, loader: 'js' }
        sources.set(path, text)
        const meta = { url: pathToFileURL(path).href, dirname: dirname(path), filename: path }
        // On the first line, so that all lines keep their numbers.
        const contents = text.includes('import.meta') ? `const ${META} = ${JSON.stringify(meta)};${text}` : text
        return { contents, loader: path.endsWith('ts') ? 'ts' : 'js' }
      })
    },
  }
}

/** Leaves installed packages where they are, as the importing file finds them, and those that are bundled already. */
function outside(packages: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'outside',
    setup: (made) => {
      made.onResolve({ filter: /^[^./]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
        if (kind === 'entry-point' || pluginData === packages) return undefined
        if (isBuiltin(path)) return { path, external: true }
        const bundled = packages.get(path)
        if (bundled !== undefined) return { path: pathToFileURL(bundled).href, external: true }
        const found = await made.resolve(path, { kind, importer, resolveDir, pluginData: packages })
        const isJoined = JOINED.has(path) || isInstalled(importer)
        if (found.errors.length > 0 || !isInstalled(found.path) || isJoined) return found
        return { path: pathToFileURL(found.path).href, external: true }
      })
    },
  }
}

function isInstalled(path: string): boolean {
  return path.includes('/node_modules/')
}
