import { posix } from 'node:path'
import { isLibrary, isShipped, type SourceFile, type Workspace } from './workspace.ts'

/** Packages that tests are made with. */
const HARNESS: readonly string[] = ['packages/conformance', 'packages/testing']
const ENGINE: readonly string[] = ['core', 'worker', 'state', 'streams', 'tables', 'app'].map(
  (name) => `packages/${name}`,
)
/** Longer than what is read in one go. */
const LONG = 300
/** A file with one importer and fewer lines could be part of that one. */
const SMALL = 60
const TYPE = /^(?:export )?(?:abstract )?(?:class|interface|type) ([A-Z]\w*)(?=[ <({])/gm

/**
 * What the sources look like from outside: sizes, files that hang on one other, imports that run both ways between the
 * folders of a package. Shown by `pnpm check`, and nothing fails because of them: a figure that grows is a question, not an
 * error.
 */
export function figuresOf(workspace: Workspace): readonly (readonly [figure: string, value: number])[] {
  const shipped = workspace.files.filter(
    (file) => isShipped(file) && file.package !== undefined && isLibrary(file.package),
  )
  const product = shipped.filter((file) => !HARNESS.includes(directoryOf(file)))
  const engine = product.filter((file) => ENGINE.includes(directoryOf(file)))
  const sizes = product.map(linesOf).sort((a, b) => a - b)
  const importers = importersIn(shipped, workspace.paths)
  const names = product.flatMap(({ text }) => [...text.matchAll(TYPE)].map(([, name = '']) => name))
  const way = workspace.read('packages/worker/README.md').match(/[\w/-]+\.ts\b/g) ?? []
  return [
    ['lines of the product', sum(sizes)],
    ['lines of the engine', sum(engine.map(linesOf))],
    ['lines of app', sum(product.filter((file) => directoryOf(file) === 'packages/app').map(linesOf))],
    ['files of the product', product.length],
    ['lines of the median file', sizes[sizes.length >> 1] ?? 0],
    [`files over ${LONG} lines`, sizes.filter((lines) => lines > LONG).length],
    [
      `files with one importer, under ${SMALL} lines`,
      product.filter((file) => linesOf(file) < SMALL && importers.get(file.path)?.size === 1 && !isEntry(file)).length,
    ],
    ['types called Deps or Host', names.filter((name) => /(?:Deps|Host)$/.test(name)).length],
    ['names of types used twice', new Set(names.filter((name, i) => names.indexOf(name) !== i)).size],
    ['imports against the way of two folders', againstTheWay(product, workspace.paths)],
    ["files on a record's way", new Set(way).size],
  ]
}

function directoryOf(file: SourceFile): string {
  return file.package?.directory ?? ''
}

function linesOf({ text }: SourceFile): number {
  return text.split('\n').length - 1
}

function isEntry(file: SourceFile): boolean {
  return file.package?.entries.includes(file.path) === true
}

function targetsOf({ path, imports }: SourceFile, paths: ReadonlySet<string>): readonly string[] {
  const targets = imports
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => posix.join(posix.dirname(path), specifier))
  return [...new Set(targets)].filter((target) => paths.has(target))
}

function importersIn(
  files: readonly SourceFile[],
  paths: ReadonlySet<string>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const importers = new Map<string, Set<string>>()
  for (const file of files)
    for (const target of targetsOf(file, paths)) {
      const known = importers.get(target)
      if (known === undefined) importers.set(target, new Set([file.path]))
      else known.add(file.path)
    }
  return importers
}

/** Of each two folders of a package that import each other, the imports of the side that has fewer of them. */
function againstTheWay(files: readonly SourceFile[], paths: ReadonlySet<string>): number {
  const edges = new Map<string, number>()
  for (const file of files) {
    const from = folderOf(file.path)
    for (const target of targetsOf(file, paths)) {
      const to = folderOf(target)
      if (from === undefined || to === undefined || from === to) continue
      edges.set(`${from} ${to}`, (edges.get(`${from} ${to}`) ?? 0) + 1)
    }
  }
  const pairs = [...edges].map(
    ([edge, count]) => [count, edges.get(edge.split(' ').toReversed().join(' ')) ?? 0] as const,
  )
  // Each pair is met from both sides.
  return sum(pairs.map(([one, other]) => Math.min(one, other))) / 2
}

/** `packages/worker/src/lib/tasks`, of a file somewhere below it. */
function folderOf(path: string): string | undefined {
  return /^packages\/[^/]+\/src\/lib\/[^/]+(?=\/)/.exec(path)?.[0]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
