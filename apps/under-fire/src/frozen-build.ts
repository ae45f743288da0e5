import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress } from 'node:zlib'
import { afterAll, beforeAll } from 'vitest'

/** Where `freeze.ts` puts it. */
export const FROZEN: string = join(import.meta.dirname, '../frozen')

/** Native code of the frozen worker: not frozen with it. */
export const NATIVE = 'lmdb'

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

/** What was frozen, and what its data directory holds. */
export interface FrozenFacts {
  /** The last one that changed what was frozen. */
  readonly commit: string
  readonly lmdb: string
  /** Of the app whose log and stores are in the directory. */
  readonly appId: string
  readonly partitions: number
  /** Numbers that it has counted. */
  readonly numbers: number
}

/** A worker of an earlier build, and a data directory that it has left. */
export interface FrozenBuild {
  readonly facts: FrozenFacts
  /** The program of a worker. */
  readonly program: string
  /** A directory with an embedded log and a store; to be used up. */
  readonly data: string
}

/** Unpacks the frozen build for the tests of a `describe`. */
export function frozenBuild(): () => FrozenBuild {
  let root: string
  let found: FrozenBuild
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'millrace-frozen-'))
    found = await unpackFrozen(root)
  })
  afterAll(() => rm(root, { recursive: true, force: true }))
  return () => found
}

/** Unpacks what lies in `FROZEN`, as a package with the one dependency that was not frozen. */
export async function unpackFrozen(root: string): Promise<FrozenBuild> {
  const program = join(root, 'worker.mjs')
  const data = join(root, 'data')
  await placeProgram(program, await decompress(await readFile(join(FROZEN, 'worker.mjs.br'))))
  const packed: unknown = JSON.parse((await decompress(await readFile(join(FROZEN, 'data.json.br')))).toString())
  for (const [name, base64] of Object.entries(packed ?? {})) {
    await mkdir(dirname(join(data, name)), { recursive: true })
    await writeFile(join(data, name), Buffer.from(String(base64), 'base64'))
  }
  return { facts: JSON.parse(await readFile(join(FROZEN, 'facts.json'), 'utf8')), program, data }
}

/** Puts a frozen program where it finds its native package and a version. */
export async function placeProgram(program: string, code: string | Buffer): Promise<void> {
  const modules = join(dirname(program), 'node_modules')
  await mkdir(modules, { recursive: true })
  await writeFile(program, code)
  await writeFile(join(dirname(program), 'package.json'), '{ "type": "module", "version": "0.0.0-frozen" }\n')
  await symlink(await nativeDirectory(), join(modules, NATIVE))
}

/** As `@millrace/store-lmdb` has it installed. */
export async function nativeDirectory(): Promise<string> {
  const store = createRequire(createRequire(import.meta.url).resolve('@millrace/store-lmdb'))
  return realpath(join(dirname(store.resolve(NATIVE)), '..'))
}

/** Files by name, as one compressed file. */
export async function packFiles(files: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const packed = Object.fromEntries([...files].map(([name, bytes]) => [name, bytes.toString('base64')]))
  return compress(JSON.stringify(packed))
}

/** A program as it is kept. */
export async function packProgram(code: string): Promise<Buffer> {
  return compress(code)
}
