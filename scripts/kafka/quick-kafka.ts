import { mkdir, mkdtemp, rename, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@millrace/core'
import { exists, kafkaJars } from './jars.ts'
import { endProcess } from './kafka-process.ts'
import { startKafka, type KafkaCluster, type StartKafkaOptions } from './start-kafka.ts'

/** A broker of a test lives for a minute: the second compiler and a collector with threads of its own do not pay. */
const SHORT_LIVED: readonly string[] = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']
/** Making an archive takes half a minute at most; a directory that is older was left by a process that died. */
const STALE_MS = 120_000

/** Linux's directory in memory, and how much of it must be free to be used. */
const IN_MEMORY = '/dev/shm'
const ENOUGH_BYTES = 4 * 1024 ** 3

/**
 * `startKafka` for tests: a start takes a third of the CPU time, and data are in memory where there is room, since a broker
 * flushes several files for each partition that it creates and waits for whatever else keeps the disk busy. Not for
 * measuring, where a broker has to be at its best.
 */
export async function startQuickKafka(options: StartKafkaOptions = {}): Promise<KafkaCluster> {
  const archive = await classArchive(await kafkaJars())
  const java = archive === undefined ? SHORT_LIVED : [...SHORT_LIVED, `-XX:SharedArchiveFile=${archive}`]
  const directory = options.directory ?? (await mkdtemp(join(await roomyDirectory(), 'millrace-kafka-')))
  return startKafka({ ...options, directory, java })
}

async function roomyDirectory(): Promise<string> {
  const free = await statfs(IN_MEMORY).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  )
  return free >= ENOUGH_BYTES ? IN_MEMORY : tmpdir()
}

/**
 * The archive of the classes that a broker loads, which Java maps into memory instead of reading the jars. Made beside
 * the jars on first use, from a broker that starts and ends (about 10 s); `undefined` while another process makes it: a
 * start then takes longer, and waits for nobody. A Java of another version starts without it, too.
 */
export async function classArchive(jars: string): Promise<string | undefined> {
  const archive = `${jars}.jsa`
  if (await exists(archive)) return archive
  const making = `${archive}-making`
  if (!(await claim(making))) return undefined
  try {
    const made = join(making, 'classes.jsa')
    const kafka = await startKafka({ java: [...SHORT_LIVED, `-XX:ArchiveClassesAtExit=${made}`] })
    try {
      for (const pid of kafka.pids) await endProcess(pid, { politeMs: 60_000 })
    } finally {
      await kafka.stop()
    }
    // A Java that does not make archives has only said so in the broker's log.
    if (!(await exists(made))) return undefined
    await rename(made, archive)
    return archive
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

/** Makes the directory, unless another process has done so lately. */
async function claim(directory: string): Promise<boolean> {
  try {
    await mkdir(directory)
    return true
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  const { mtimeMs } = await stat(directory)
  if (systemClock().now() - mtimeMs < STALE_MS) return false
  await rm(directory, { recursive: true, force: true })
  return claim(directory)
}
