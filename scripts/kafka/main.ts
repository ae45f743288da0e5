import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kafkaCache } from './jars.ts'
import { endProcess, isAlive, launchNode, untilReady } from './kafka-process.ts'
import { kafkaJars } from './jars.ts'
import { classArchive } from './quick-kafka.ts'
import { runCommand } from './run-command.ts'
import type { KafkaNode } from './server-properties.ts'
import { startKafka } from './start-kafka.ts'

const USAGE = `pnpm kafka start [BROKERS] [FIRST_PORT]   start 1 or more brokers (ports from 9092), print KAFKA_BROKERS=…
pnpm kafka stop                           end them and forget their data
pnpm kafka kill N                         kill -9 broker N (counted from 1)
pnpm kafka resume N                       start it again on its data
pnpm kafka status                         say what runs
pnpm kafka fetch                          fetch what a start needs, so that the first one takes no longer than others`

interface State {
  readonly brokers: string
  readonly directory: string
  readonly nodes: readonly { readonly node: KafkaNode; readonly pid: number }[]
}

const stateFile = join(kafkaCache, 'cluster.json')

const [command, ...args] = process.argv.slice(2)
if (command === 'start') await start(positive(args[0] ?? '1'), positive(args[1] ?? '9092'))
else if (command === 'stop') await stop()
else if (command === 'kill') await kill(positive(args[0] ?? ''))
else if (command === 'resume') await resume(positive(args[0] ?? ''))
else if (command === 'status') await status()
else if (command === 'fetch') await classArchive(await kafkaJars())
else {
  console.error(USAGE)
  process.exitCode = 2
}

async function start(brokers: number, firstPort: number): Promise<void> {
  await stop()
  const directory = join(kafkaCache, 'cluster')
  await mkdir(directory, { recursive: true })
  const cluster = await startKafka({ brokers, firstPort, directory, detached: true })
  const nodes = cluster.nodes.map((node, i) => ({ node, pid: cluster.pids[i] ?? 0 }))
  await save({ brokers: cluster.brokers, directory, nodes })
  console.log(`KAFKA_BROKERS=${cluster.brokers}`)
}

async function stop(): Promise<void> {
  const state = await load()
  if (state === undefined) return
  for (const { node, pid } of state.nodes) if (await isOurs(node, pid)) await endProcess(pid, { politeMs: 10_000 })
  await rm(state.directory, { recursive: true, force: true })
  await rm(stateFile, { force: true })
}

async function kill(n: number): Promise<void> {
  const { node, pid } = await numbered(n)
  if (await isOurs(node, pid)) await endProcess(pid, { politeMs: 0 })
}

async function resume(n: number): Promise<void> {
  const { node, pid: old } = await numbered(n)
  if (await isOurs(node, old)) return
  const pid = await launchNode(node, await kafkaJars())
  const state = await load()
  if (state !== undefined)
    await save({ ...state, nodes: state.nodes.map((each) => (each.node.id === n ? { node, pid } : each)) })
  await untilReady(node, pid)
}

async function status(): Promise<void> {
  const state = await load()
  if (state === undefined) return console.log('No Kafka was started here.')
  console.log(`KAFKA_BROKERS=${state.brokers}`)
  for (const { node, pid } of state.nodes)
    console.log(`broker ${node.id}: ${(await isOurs(node, pid)) ? `runs, pid ${pid}` : 'is down'}`)
}

async function numbered(n: number): Promise<State['nodes'][number]> {
  const found = (await load())?.nodes[n - 1]
  if (found === undefined) throw new Error(`There is no broker ${n}: start one with "pnpm kafka start".`)
  return found
}

/** Process ids are used again: only one that still runs from the node's directory is ours to end. */
async function isOurs(node: KafkaNode, pid: number): Promise<boolean> {
  if (pid <= 0 || !isAlive(pid)) return false
  const command = await runCommand('ps', ['-p', String(pid), '-o', 'args='], { timeoutMs: 10_000 })
  return command.includes(node.directory)
}

async function load(): Promise<State | undefined> {
  const text = await readFile(stateFile, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const state: State = JSON.parse(text)
  return state
}

async function save(state: State): Promise<void> {
  await writeFile(stateFile, JSON.stringify(state, undefined, 2))
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`"${text}" is not a whole number above 0.\n${USAGE}`)
  return value
}
