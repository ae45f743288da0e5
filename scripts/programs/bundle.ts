import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'

export interface Bundle {
  readonly code: string
  readonly map: string
  /** What it was made of: path → text. */
  readonly sources: ReadonlyMap<string, string>
}

/**
 * Joins a TypeScript file with all it imports from the workspace. Installed packages stay outside, named by their paths.
 * `directory` is where the map will be, which names the sources from there.
 */
export async function bundle(file: string, directory: string): Promise<Bundle> {
  const sources = new Map<string, string>()
  const { outputFiles } = await build({
    ...SETTINGS,
    entryPoints: [file],
    outfile: join(directory, 'bundle.mjs'),
    sourcemap: 'external',
    plugins: [outside, readingInto(sources)],
  })
  const [code, map] = ['.mjs', '.map'].map((end) => outputFiles.find(({ path }) => path.endsWith(end))?.text)
  if (code === undefined || map === undefined) throw new Error(`No bundle was made of ${file}.`)
  return { code, map, sources }
}

/**
 * Joins each of the files with what it imports, without what it shares with others: that is in files beside theirs.
 * Gives path → text of all files that are to be below `directory`; each entry has its name there, with `.mjs`.
 */
export async function bundleTogether(
  entries: ReadonlyMap<string, string>,
  directory: string,
): Promise<ReadonlyMap<string, string>> {
  const { outputFiles } = await build({
    ...SETTINGS,
    entryPoints: Object.fromEntries(entries),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    sourcemap: 'linked',
    plugins: [outside, readingInto(new Map())],
  })
  return new Map(outputFiles.map(({ path, text }) => [path, text]))
}

const META = '__sourceMeta'

const SETTINGS = {
  write: false,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // As tsx does: the names of classes and functions are in logs and dead letters.
  keepNames: true,
  sourcesContent: false,
  define: { 'import.meta': META },
  logLevel: 'silent',
} as const

/** Reads sources, and gives those that ask for it the `import.meta` that they would have by themselves. */
function readingInto(sources: Map<string, string>): Plugin {
  return {
    name: 'sources',
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.[mc]?[jt]s$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8')
        sources.set(path, text)
        const meta = { url: pathToFileURL(path).href, dirname: dirname(path), filename: path }
        // On the first line, so that all lines keep their numbers.
        const contents = text.includes('import.meta') ? `const ${META} = ${JSON.stringify(meta)};${text}` : text
        return { contents, loader: path.endsWith('ts') ? 'ts' : 'js' }
      })
    },
  }
}

/** Leaves installed packages where they are, as the importing file finds them. */
const outside: Plugin = {
  name: 'outside',
  setup: (made) => {
    made.onResolve({ filter: /^[^./]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (kind === 'entry-point' || pluginData === outside) return undefined
      if (path.startsWith('node:')) return { path, external: true }
      const found = await made.resolve(path, { kind, importer, resolveDir, pluginData: outside })
      if (found.errors.length > 0 || !found.path.includes('/node_modules/')) return found
      return { path: pathToFileURL(found.path).href, external: true }
    })
  },
}
