import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '@millrace/core'
import type { KafkaNode } from './server-properties.ts'

const LOGGING = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
]
const READY_LIMIT_MS = 60_000

/** Starts the broker of a formatted node in a process group of its own and gives its pid. `java` are further options of Java. */
export async function launchNode(node: KafkaNode, jars: string, java: readonly string[] = []): Promise<number> {
  const log = await open(join(node.directory, 'log'), 'w')
  try {
    const args = [
      '-Xms256m',
      '-Xmx512m',
      ...java,
      ...LOGGING,
      '-cp',
      `${jars}/*`,
      'kafka.Kafka',
      join(node.directory, 'server.properties'),
    ]
    const child = spawn('java', args, { detached: true, stdio: ['ignore', log.fd, log.fd] })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', () => resolve())
      child.once('error', (error) => reject(new Error('"java" could not be started.', { cause: error })))
    })
    child.unref()
    if (child.pid === undefined) throw new Error('"java" has no process id.')
    return child.pid
  } finally {
    await log.close()
  }
}

/** Resolves when the broker has said that it is up; rejects, with the end of its log, when it died or took 60 s. */
export async function untilReady(node: KafkaNode, pid: number): Promise<void> {
  const clock = systemClock()
  const deadline = clock.monotonic() + READY_LIMIT_MS
  for (;;) {
    const log = await readFile(join(node.directory, 'log'), 'utf8')
    if (log.includes('Kafka Server started')) return
    const problem = !isAlive(pid)
      ? 'died'
      : clock.monotonic() > deadline
        ? `was not ready after ${READY_LIMIT_MS} ms`
        : undefined
    if (problem !== undefined) {
      throw new Error(`Kafka node ${node.id} ${problem}. The end of its log:\n${log.split('\n').slice(-25).join('\n')}`)
    }
    await clock.sleep(100)
  }
}

/** Ends a process, politely first when asked to, and waits until it has gone. */
export async function endProcess(pid: number, options: { readonly politeMs: number }): Promise<void> {
  const clock = systemClock()
  const deadline = clock.monotonic() + options.politeMs
  if (options.politeMs > 0) signal(pid, 'SIGTERM')
  while (options.politeMs > 0 && isAlive(pid) && clock.monotonic() < deadline) await clock.sleep(50)
  signal(pid, 'SIGKILL')
  while (isAlive(pid)) await clock.sleep(20)
}

export function isAlive(pid: number): boolean {
  return signal(pid, 0)
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}
