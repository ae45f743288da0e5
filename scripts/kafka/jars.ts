import { createHash, randomUUID } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './run-command.ts'

/** Where the checkout keeps Kafka's jars and the state of `pnpm kafka`. Ignored by git. */
export const kafkaCache: string = join(import.meta.dirname, '../../.kafka')

/** The folder with Kafka's jars, fetched by Maven on first use. */
export async function kafkaJars(): Promise<string> {
  const pom = join(import.meta.dirname, 'pom.xml')
  const version = /kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(await readFile(pom, 'utf8'))?.[1]
  if (version === undefined) throw new Error(`${pom} names no version of kafka_2.13.`)
  return fetchJars(pom, `jars-${version}`)
}

/**
 * A folder with the jars that a pom.xml names, fetched by Maven when there is none for a file of this content.
 *
 * @throws when Maven is not there or fails
 */
export async function mavenJars(pom: string): Promise<string> {
  const content = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
  return fetchJars(pom, `jars-${content.slice(0, 12)}`)
}

/** Several processes may ask at once: each fetches into a folder of its own and the first to finish wins. */
async function fetchJars(pom: string, name: string): Promise<string> {
  const jars = join(kafkaCache, name)
  if (await exists(jars)) return jars
  const attempt = join(kafkaCache, `fetching-${randomUUID()}`)
  await mkdir(attempt, { recursive: true })
  try {
    await copyFile(pom, join(attempt, 'pom.xml'))
    const args = ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars', '-DincludeScope=runtime']
    await runCommand('mvn', args, { cwd: attempt, timeoutMs: 300_000 })
    await rename(join(attempt, 'jars'), jars).catch(async (error: unknown) => {
      if (!(await exists(jars))) throw error
    })
    return jars
  } finally {
    await rm(attempt, { recursive: true, force: true })
  }
}

/** Whether there is something at a path. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
