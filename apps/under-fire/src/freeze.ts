// Freezes the build of today for the tests of upgrades: to be run at each release. `pnpm freeze`; see CONTRIBUTING.md.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@millrace/core'
import { standalone } from '@millrace/programs-for-tests/standalone'
import { collectLog } from '@millrace/testing'
import { createEmbeddedTransport } from '@millrace/transport-embedded'
import { fireRun } from './fire-run.ts'
import {
  FROZEN,
  type FrozenFacts,
  NATIVE,
  nativeDirectory,
  packFiles,
  packProgram,
  placeProgram,
} from './frozen-build.ts'

/** Of the command line, of the site, and what only development wants. */
const UNUSED = ['undici', 'tsx', 'esbuild', 'chokidar', 'yargs', 'yargs-parser', 'hono', '@hono']
const DATA_FILES = ['millrace-log.mdb', 'millrace-log.json', 'tables/data.mdb', 'tables/millrace-store.json']
const NUMBERS = 2_000
const PARTITIONS = 2

const work = await mkdtemp(join(tmpdir(), 'millrace-freeze-'))
try {
  const code = await standalone(new URL('./worker-main.ts', import.meta.url), { beside: [NATIVE], unused: UNUSED })
  const program = join(work, 'worker.mjs')
  await placeProgram(program, code)
  const data = join(work, 'data')
  const appId = await leaveData(program, data)
  const files = new Map(
    await Promise.all(DATA_FILES.map(async (name) => [name, await readFile(join(data, name))] as const)),
  )
  const native: { readonly version: string } = JSON.parse(
    await readFile(join(await nativeDirectory(), 'package.json'), 'utf8'),
  )
  const facts: FrozenFacts = {
    commit: execFileSync('git', ['log', '-1', '--format=%H', '--', 'packages'], { encoding: 'utf8' }).trim(),
    lmdb: native.version,
    appId,
    partitions: PARTITIONS,
    numbers: NUMBERS,
  }
  await mkdir(FROZEN, { recursive: true })
  await writeFile(join(FROZEN, 'worker.mjs.br'), await packProgram(code))
  await writeFile(join(FROZEN, 'data.json.br'), await packFiles(files))
  await writeFile(join(FROZEN, 'facts.json'), `${JSON.stringify(facts, undefined, 2)}\n`)
  console.log(`Frozen: ${facts.commit}, ${Math.round(code.length / 1024)} kB of program.`)
} finally {
  await rm(work, { recursive: true, force: true })
}

/** Lets the frozen program count on an embedded log and a store in a directory. Gives the id of the app. */
async function leaveData(program: string, directory: string): Promise<string> {
  const outside = createEmbeddedTransport({ directory }, { clock: systemClock(), log: collectLog() })
  await outside.connect({ timeoutMs: 5_000 })
  try {
    const settings = { broker: `embedded:${directory}`, store: `lmdb:${directory}` }
    await using run = await fireRun({ outside, brokers: '', partitions: PARTITIONS, settings })
    await run.send(NUMBERS)
    const worker = run.start({}, program)
    await worker.ready()
    await run.untilDone()
    await worker.stop()
    return run.id
  } finally {
    await outside.close()
  }
}
