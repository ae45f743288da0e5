import { build, type Plugin } from 'esbuild'
import { fileURLToPath } from 'node:url'

export interface StandaloneOptions {
  /** Packages that the program finds beside itself, because they have native code. */
  readonly beside: readonly string[]
  /** Packages that it never uses as it is started: loading one of them gives an empty module. */
  readonly unused: readonly string[]
}

/**
 * A program as one file for plain `node`, with the installed packages that it uses: what it does then depends on no
 * source and no version of today. For programs that are kept.
 */
export async function standalone(program: URL, { beside, unused }: StandaloneOptions): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(program)],
    write: false,
    bundle: true,
    minify: true,
    // Stack traces show the line.
    lineLimit: 160,
    keepNames: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: [...beside],
    // What is inside of CommonJS asks for Node's own modules.
    banner: {
      js: "import{createRequire as outerRequire}from'node:module';const require=outerRequire(import.meta.url);",
    },
    plugins: [leavingOut(unused)],
    logLevel: 'silent',
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error(`Nothing was made of ${program.href}.`)
  return file.text
}

function leavingOut(packages: readonly string[]): Plugin {
  return {
    name: 'leaving out',
    setup: (made) => {
      const isUnused = (path: string): boolean => packages.some((name) => path === name || path.startsWith(`${name}/`))
      made.onResolve({ filter: /^[^./]/ }, ({ path }) => (isUnused(path) ? { path, namespace: 'unused' } : undefined))
      made.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}', loader: 'js' }))
    },
  }
}
