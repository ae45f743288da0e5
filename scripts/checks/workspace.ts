import { findImports, type ImportFound } from './find-imports.ts'

/** The repository as the checks see it: a list of files. Tests make one by hand. */
export interface Workspace {
  readonly packages: readonly WorkspacePackage[]
  readonly files: readonly SourceFile[]
  /** Every path there is, relative to the root. */
  readonly paths: ReadonlySet<string>
  readonly read: (path: string) => string
}

export interface WorkspacePackage {
  /** `@millrace/core` */
  readonly name: string
  /** `packages/core` */
  readonly directory: string
  readonly description: string
  /** What is published, as patterns. */
  readonly published: readonly string[]
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
  /** What others may import: `.` and the subpaths of `exports`. */
  readonly subpaths: readonly string[]
  /** Source file of each export, relative to the root. */
  readonly entries: readonly string[]
}

export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly ImportFound[]
  /** The package it belongs to; `undefined` for scripts and configuration at the root. */
  readonly package: WorkspacePackage | undefined
  readonly isTest: boolean
}

/** Tests, and folders of what only tests use. */
const TEST = /\.test(?:-d)?\.ts$|\/(?:test|test-support|fixtures)\//

const SOURCE = /\.(?:ts|mts|tsx|js|mjs)$/

/** Makes a workspace of files: path → text. */
export function workspaceOf(files: ReadonlyMap<string, string>): Workspace {
  const packages = [...files]
    .filter(([path]) =>
      /^(?:(?:packages|apps|packages\/create-stream-app\/templates)\/[^/]+|docs|bench(?:\/[^/]+)?|scripts\/[^/]+)\/package\.json$/.test(
        path,
      ),
    )
    .map(([path, text]) => readPackage(path.slice(0, path.lastIndexOf('/')), text))
    // A file belongs to the innermost: there is a package in the folder of another one.
    .sort((a, b) => b.directory.length - a.directory.length)
  const sources = [...files].filter(([path]) => SOURCE.test(path))
  return {
    packages,
    files: sources.map(([path, text]) => ({
      path,
      text,
      imports: findImports(text),
      package: packages.find(({ directory }) => path.startsWith(`${directory}/`)),
      isTest: TEST.test(path),
    })),
    paths: new Set(files.keys()),
    read: (path) => files.get(path) ?? '',
  }
}

/** Whether it is a library of ours, and no project that stands inside one as a template. */
export function isLibrary({ directory }: WorkspacePackage): boolean {
  return /^packages\/[^/]+$/.test(directory)
}

/** Whether the file is part of what a package ships. */
export function isShipped({ path, isTest, package: owner }: SourceFile): boolean {
  return owner !== undefined && !isTest && path.startsWith(`${owner.directory}/src/`)
}

function readPackage(directory: string, json: string): WorkspacePackage {
  const content: unknown = JSON.parse(json)
  const names = (section: string): readonly string[] => Object.keys(asObject(asObject(content)[section]))
  return {
    name: text(asObject(content)['name']) ?? directory,
    directory,
    description: text(asObject(content)['description']) ?? '',
    published: Object.values(asObject(asObject(content)['files'])).flatMap((pattern) => text(pattern) ?? []),
    dependencies: [...names('dependencies'), ...names('peerDependencies'), ...names('optionalDependencies')],
    devDependencies: names('devDependencies'),
    subpaths: subpathsOf(asObject(content)['exports']),
    entries: exportTargets(asObject(content)['exports']).map((target) => `${directory}/${target.replace(/^\.\//, '')}`),
  }
}

function subpathsOf(exports: unknown): readonly string[] {
  return typeof exports === 'string' ? ['.'] : Object.keys(asObject(exports))
}

function exportTargets(exports: unknown): readonly string[] {
  if (typeof exports === 'string') return SOURCE.test(exports) ? [exports] : []
  return Object.values(asObject(exports)).flatMap(exportTargets)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
