import { posix } from 'node:path'
import type { ImportFound } from './find-imports.ts'
import type { Problem } from './problem.ts'
import { isLibrary, type SourceFile, type Workspace, type WorkspacePackage } from './workspace.ts'

interface Layer {
  readonly dependencies: readonly string[]
  /** Beside the dependencies. */
  readonly devDependencies?: readonly string[]
}

/** The engine, each above the ones that it may import. `tables` and `streams` stand side by side. */
const ENGINE: readonly (readonly [name: string, below: readonly string[]])[] = [
  ['worker', ['core']],
  ['client', ['core', 'worker']],
  ['state', ['core', 'worker']],
  ['tables', ['core', 'worker', 'state']],
  ['streams', ['core', 'worker', 'state']],
  ['scheduler', ['core', 'worker']],
  ['web', ['core', 'worker']],
]
const BESIDE = ['cli']
const PARTS = [...ENGINE.map(([name]) => name), ...BESIDE]
const DRIVERS = ['transport-kafkajs', 'transport-embedded', 'store-lmdb', 'web-hono']
/** Starts a Kafka for tests; imports `core` alone. */
const FOR_TESTS = 'kafka-for-tests'
/** Makes programs that start quickly; imports nothing of ours. */
const PROGRAMS = 'programs-for-tests'
/** A worker on a memory log, in which parts test themselves; imports `core`, `worker` and `transport-embedded`. */
const ENGINE_FOR_TESTS = 'engine-for-tests'
/** What parts test themselves on: the engine, a driver, or the suite of the one driver that is inside a part. None depends on a part. */
const TEST_DRIVERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['streams', [ENGINE_FOR_TESTS]],
  ['tables', [ENGINE_FOR_TESTS]],
  ['state', ['conformance']],
  ['worker', ['transport-embedded']],
  ['web', ['conformance']],
  ['cli', [PROGRAMS]],
])

/**
 * Who may import whom: `docs/architecture.md`, with decision 001 (`cli` below `app`). A package that is not here must not exist
 * under `packages`. Apps, the bench and scripts may import everything.
 */
const LAYERS: ReadonlyMap<string, Layer> = new Map<string, Layer>([
  ['core', { dependencies: [] }],
  ['conformance', { dependencies: ['core'] }],
  ...ENGINE.map(
    ([name, below]) => [name, { dependencies: below, devDependencies: TEST_DRIVERS.get(name) ?? [] }] as const,
  ),
  ...BESIDE.map((name) => [name, { dependencies: ['core'], devDependencies: TEST_DRIVERS.get(name) ?? [] }] as const),
  ...DRIVERS.map(
    (name) => [name, { dependencies: ['core'], devDependencies: ['conformance', FOR_TESTS, PROGRAMS] }] as const,
  ),
  ['dashboard', { dependencies: ['core', 'web'], devDependencies: ['conformance', 'worker'] }],
  ['app', { dependencies: ['core', ...PARTS, 'dashboard', ...DRIVERS], devDependencies: [FOR_TESTS] }],
  [
    'testing',
    {
      dependencies: ['core', 'worker', 'tables', 'app', 'transport-embedded'],
      devDependencies: ['conformance', ...PARTS, ...DRIVERS, FOR_TESTS, PROGRAMS],
    },
  ],
  ['sensor-otel', { dependencies: ['core'], devDependencies: ['app', 'testing', 'transport-embedded'] }],
  ['http-client', { dependencies: [], devDependencies: ['app', 'testing'] }],
  ['schema-registry', { dependencies: ['core'], devDependencies: ['app', 'testing'] }],
  ['create-stream-app', { dependencies: [] }],
])

/**
 * Folders of a package under `src/lib`, the lowest first: a file imports from its own floor and from those below it. Tests
 * import what they like.
 */
const FLOORS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'worker',
    ['contracts', 'environment', 'topics', 'records', 'sending', 'restore', 'task', 'queue', 'group', 'worker'],
  ],
  ['state', ['memory', 'keys', 'rows', 'time', 'locating']],
  [
    'streams',
    [
      'events',
      'retries',
      'topics',
      'asking',
      'channels',
      'dead-letters',
      'errors',
      'states',
      'joins',
      'streams',
      'agents',
    ],
  ],
])

const SCOPE = '@millrace/'

/** Every import, and every dependency declared, against the layers; in packages with floors, against those too. Type imports and devDependencies count. */
export function checkLayers(workspace: Workspace): readonly Problem[] {
  return [
    ...workspace.packages.flatMap((owner) => [...checkKnown(owner), ...checkDeclared(owner)]),
    ...packageRings(workspace.packages),
    ...workspace.files.flatMap(checkFloors),
    ...workspace.files.flatMap((file) => file.imports.flatMap((found) => checkImport(file, found, workspace.packages))),
  ]
}

/** The other way round: an arrow that no import uses draws a structure that is not there. */
export function checkArrows({ packages, files }: Workspace): readonly Problem[] {
  return packages.filter(isLibrary).flatMap((owner) => {
    const own = files.filter((file) => file.package === owner && !file.isTest)
    const imported = new Set(own.flatMap((file) => file.imports.map(({ specifier }) => specifier.split('/')[1])))
    return (layerOf(owner)?.dependencies ?? [])
      .filter((name) => !imported.has(name))
      .map((name) => ({
        file: `${owner.directory}/package.json`,
        message: `nothing in ${owner.name} imports ${SCOPE}${name}: take the arrow out of scripts/checks/layers.ts`,
      }))
  })
}

function checkKnown(owner: WorkspacePackage): readonly Problem[] {
  const { name, directory } = owner
  if (!isLibrary(owner) || LAYERS.has(shortName(name))) return []
  return [
    {
      file: `${directory}/package.json`,
      message: `${name} has no place in the layers: give it one in scripts/checks/layers.ts`,
    },
  ]
}

function checkDeclared(owner: WorkspacePackage): readonly Problem[] {
  const layer = layerOf(owner)
  if (layer === undefined) return []
  const file = `${owner.directory}/package.json`
  const refuse = (names: readonly string[], allowed: readonly string[], section: string): readonly Problem[] =>
    names
      .filter((name) => name.startsWith(SCOPE) && !allowed.includes(shortName(name)))
      .map((name) => ({ file, message: `${owner.name} must not have ${name} among its ${section}` }))
  return [
    ...refuse(owner.dependencies, layer.dependencies, 'dependencies'),
    ...refuse(owner.devDependencies, [...layer.dependencies, ...(layer.devDependencies ?? [])], 'devDependencies'),
  ]
}

function checkImport(
  file: SourceFile,
  { specifier, line }: ImportFound,
  packages: readonly WorkspacePackage[],
): readonly Problem[] {
  const problem = (message: string): readonly Problem[] => [{ file: file.path, line, message }]
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file.path), specifier)
    const owner = packages.find(({ directory }) => target.startsWith(`${directory}/`))
    // Scripts at the root have no dependencies to name: they import entry files by path.
    const isEntryForScript = file.package === undefined && owner?.entries.includes(target)
    return owner === file.package || isEntryForScript
      ? []
      : problem(`reaches into another package with ${specifier}: import it by its name`)
  }
  if (!specifier.startsWith(SCOPE)) return []
  const [scope, name] = specifier.split('/')
  const imported = `${scope}/${name}`
  const subpath = specifier.replace(imported, '.')
  const target = packages.find((each) => each.name === imported)
  if (subpath !== '.' && !target?.subpaths.includes(subpath))
    return problem(`deep import ${specifier}: import ${imported}`)
  const owner = file.package
  // A package may name itself, as a user of it would.
  if (owner === undefined || imported === owner.name) return []
  const layer = layerOf(owner)
  const allowed =
    layer === undefined ? undefined : [...layer.dependencies, ...(file.isTest ? (layer.devDependencies ?? []) : [])]
  if (allowed !== undefined && !allowed.includes(shortName(imported)))
    return problem(`${owner.name} must not import ${imported}`)
  if (owner.dependencies.includes(imported)) return []
  if (!owner.devDependencies.includes(imported))
    return problem(`${imported} is not among the dependencies of ${owner.name}`)
  const isShipped = isLibrary(owner) && !file.isTest
  return isShipped ? problem(`${imported} is a devDependency of ${owner.name}, imported by what is shipped`) : []
}

function checkFloors(file: SourceFile): readonly Problem[] {
  const owner = file.package
  const floors = owner === undefined ? undefined : FLOORS.get(shortName(owner.name))
  if (owner === undefined || floors === undefined || file.isTest) return []
  const lib = `${owner.directory}/src/lib/`
  const own = floorOf(file.path, lib)
  if (own === undefined) return []
  const height = floors.indexOf(own)
  if (height < 0)
    return [
      { file: file.path, message: `${own} has no place among the floors: give it one in scripts/checks/layers.ts` },
    ]
  return file.imports.flatMap(({ specifier, line }) => {
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : ''
    const floor = floorOf(target, lib)
    if (floor === undefined || floors.indexOf(floor) <= height) return []
    return [{ file: file.path, line, message: `${own} must not import ${floor}, a floor above it` }]
  })
}

/** The folder of `lib` that a file is in. */
function floorOf(path: string, lib: string): string | undefined {
  const rest = path.startsWith(lib) ? path.slice(lib.length) : ''
  return rest.includes('/') ? rest.slice(0, rest.indexOf('/')) : undefined
}

/** Rings among packages, as they declare their dependencies. */
function packageRings(packages: readonly WorkspacePackage[]): readonly Problem[] {
  const byName = new Map(packages.map((each) => [each.name, each]))
  const reaches = (from: WorkspacePackage, goal: string, seen: Set<string>): boolean =>
    [...from.dependencies, ...from.devDependencies].some((name) => {
      if (name === goal) return true
      const next = byName.get(name)
      if (next === undefined || seen.has(name)) return false
      seen.add(name)
      return reaches(next, goal, seen)
    })
  return packages
    .filter((each) => reaches(each, each.name, new Set()))
    .map(({ name, directory }) => ({
      file: `${directory}/package.json`,
      message: `${name} depends on itself through its dependencies`,
    }))
}

function layerOf(owner: WorkspacePackage): Layer | undefined {
  return isLibrary(owner) ? LAYERS.get(shortName(owner.name)) : undefined
}

function shortName(name: string): string {
  return name.startsWith(SCOPE) ? name.slice(SCOPE.length) : name
}
