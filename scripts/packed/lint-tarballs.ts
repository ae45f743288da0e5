// Packs every package and lets publint and arethetypeswrong look at the tarballs, as their users will get them. Both as
// libraries: as programs they would load a compiler for each package.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { filterProblems, problemKindInfo } from '@arethetypeswrong/core/problems'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { tarballs } from './pack.ts'

/** ESM only: there is nothing for `require` to find, nor for a Node without `exports`. */
const RESOLUTIONS = ['node16-esm', 'bundler'] as const
/** Nobody imports them. */
const PROGRAMS: readonly string[] = ['create-stream-app']

const packed = await tarballs()
try {
  let failed = 0
  for (const name of await readdir(packed.directory)) {
    if (!name.endsWith('.tgz')) continue
    const tarball = new Uint8Array(await readFile(join(packed.directory, name)))
    for (const problem of [...(await published(tarball)), ...(await typed(tarball))]) {
      failed++
      console.error(`${name}: ${problem}`)
    }
  }
  if (failed > 0) process.exitCode = 1
} finally {
  await packed.remove()
}

async function published(tarball: Uint8Array<ArrayBuffer>): Promise<readonly string[]> {
  const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer }, strict: true })
  return messages
    .filter(({ type }) => type === 'error')
    .map((message) => formatMessage(message, pkg, { color: false }) ?? message.code)
}

async function typed(tarball: Uint8Array): Promise<readonly string[]> {
  const analysis = await checkPackage(createPackageFromTarballData(tarball))
  if (analysis.types === false) return PROGRAMS.includes(analysis.packageName) ? [] : ['It has no type definitions.']
  const problems = new Set(RESOLUTIONS.flatMap((resolutionKind) => filterProblems(analysis, { resolutionKind })))
  return [...problems].map((problem) => `${problemKindInfo[problem.kind].title}: ${JSON.stringify(problem)}`)
}
