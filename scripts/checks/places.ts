import { codeOnly, lineAt } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isLibrary, isShipped, type SourceFile, type Workspace } from './workspace.ts'

interface LibraryPlace {
  readonly library: string
  /** Packages that may import it. */
  readonly packages: readonly string[]
  /** In one file of each only. */
  readonly oneFile?: true
}

/** One library, one place that imports it. */
const LIBRARIES: readonly LibraryPlace[] = [
  { library: 'kafkajs', packages: ['transport-kafkajs'] },
  { library: 'lmdb', packages: ['transport-embedded', 'store-lmdb'] },
  { library: 'yargs', packages: ['cli'], oneFile: true },
  { library: 'pino', packages: ['cli'], oneFile: true },
  { library: 'tsx', packages: ['cli'] },
  { library: 'picocolors', packages: ['cli'] },
  { library: 'string-width', packages: ['cli'], oneFile: true },
  { library: 'hono', packages: ['web-hono'] },
  { library: '@hono/node-server', packages: ['web-hono'] },
  { library: 'cron-parser', packages: ['scheduler'], oneFile: true },
  { library: 'undici', packages: ['web'], oneFile: true },
  { library: 'avsc', packages: ['schema-registry'] },
  { library: 'protobufjs', packages: ['schema-registry'] },
  { library: 'ajv', packages: ['schema-registry'] },
  { library: 'ipaddr.js', packages: ['web'], oneFile: true },
  { library: 'prom-client', packages: ['web'], oneFile: true },
  { library: '@clack/prompts', packages: ['create-stream-app'] },
  { library: 'node:timers', packages: ['conformance'] },
  { library: 'vitest', packages: ['conformance'] },
  { library: 'fast-check', packages: ['conformance'] },
]

interface CodePlace {
  readonly pattern: RegExp
  readonly message: string
  isAllowed(file: SourceFile): boolean
}

/** Time comes from a clock; the suites for clocks are themselves tests. The client of other programs runs in no app. */
const hasTime = ({ path }: SourceFile): boolean =>
  path.startsWith('packages/core/src/lib/time/') ||
  path.startsWith('packages/conformance/') ||
  path === 'packages/http-client/src/lib/time.ts'

const CODE: readonly CodePlace[] = [
  {
    pattern:
      /\bDate\.now\b|\bperformance\.now\b|\bprocess\.hrtime\b|\bnew Date\(\s*\)|(?<![.\w])(?:setTimeout|setInterval)\s*\(|\bAbortSignal\.timeout\b/g,
    message: 'asks the runtime for the time or a timer: use the Clock handed in',
    isAllowed: hasTime,
  },
  {
    pattern: /\bmkdir(?:Sync)?\([^;\n]*\brecursive\b/g,
    message: 'makes directories with `recursive`, which never ends below /proc: use makeDirectory of core',
    isAllowed: () => false,
  },
  {
    pattern: /\bnew AsyncLocalStorage\b/g,
    message: 'makes an AsyncLocalStorage: the app owns the only one, beside that of OpenTelemetry',
    isAllowed: ({ path }) =>
      path.startsWith('packages/app/') ||
      path.startsWith('packages/conformance/') ||
      path === 'packages/sensor-otel/src/lib/event-contexts.ts',
  },
]

/** Libraries and facilities that belong to one place, in what packages ship. Tests may use any. */
export function checkPlaces(workspace: Workspace): readonly Problem[] {
  const shipped = workspace.files.filter(
    (file) => isShipped(file) && file.package !== undefined && isLibrary(file.package),
  )
  return [...shipped.flatMap(checkLibraries), ...checkOneFile(shipped), ...shipped.flatMap(checkCode)]
}

function checkLibraries({ path, imports }: SourceFile): readonly Problem[] {
  return imports.flatMap(({ specifier, line }) => {
    const place = LIBRARIES.find(({ library }) => names(specifier, library))
    if (place === undefined || place.packages.some((name) => path.startsWith(`packages/${name}/`))) return []
    return [{ file: path, line, message: `imports ${place.library}, which belongs to ${place.packages.join(' and ')}` }]
  })
}

function checkOneFile(files: readonly SourceFile[]): readonly Problem[] {
  return LIBRARIES.filter(({ oneFile }) => oneFile).flatMap(({ library, packages }) =>
    packages.flatMap((name) => {
      const users = files.filter(
        ({ path, imports }) =>
          path.startsWith(`packages/${name}/`) && imports.some(({ specifier }) => names(specifier, library)),
      )
      return users.slice(1).map(({ path }) => ({
        file: path,
        message: `imports ${library}, which belongs to one file: ${users[0]?.path}`,
      }))
    }),
  )
}

function checkCode(file: SourceFile): readonly Problem[] {
  const { bare } = codeOnly(file.text)
  return CODE.filter((place) => !place.isAllowed(file)).flatMap(({ pattern, message }) =>
    [...bare.matchAll(pattern)].map(({ index, 0: found }) => ({
      file: file.path,
      line: lineAt(bare, index),
      message: `${found.trim()} ${message}`,
    })),
  )
}

function names(specifier: string, library: string): boolean {
  return specifier === library || specifier.startsWith(`${library}/`)
}
