import { randomBytes, randomUUID } from 'node:crypto'
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from './jars.ts'
import { runCommand } from './run-command.ts'
import { serverProperties, type KafkaNode, type SaslUser } from './server-properties.ts'

/** What Kafka's tool makes of an empty data directory. */
const META = 'meta.properties'
const CHECKPOINT = 'bootstrap.checkpoint'

export interface FormatOptions {
  readonly sasl?: SaslUser
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * Writes the settings of nodes, and makes their data directories ready. Kafka's tool is a Java of its own, which costs more
 * than half as much as the start of a broker: it runs once, and what it made is copied from then on, but for names. Users
 * are part of what it makes, so for these it runs each time.
 */
export async function formatNodes(
  nodes: readonly KafkaNode[],
  jars: string,
  { sasl, settings }: FormatOptions,
): Promise<void> {
  const clusterId = newId()
  await Promise.all(
    nodes.map(async (node) => {
      await mkdir(dataOf(node), { recursive: true })
      await writeFile(propertiesOf(node), serverProperties(node, nodes, sasl, settings))
    }),
  )
  if (sasl !== undefined) {
    await Promise.all(nodes.map((node) => runTool(node, jars, { clusterId, sasl })))
    return
  }
  const [first] = nodes
  if (first === undefined) return
  const model = `${jars}-formatted`
  if (!(await exists(model))) await makeModel(first, jars, model)
  const meta = await readFile(join(model, META), 'utf8')
  await Promise.all(
    nodes.map(async (node) => {
      await copyFile(join(model, CHECKPOINT), join(dataOf(node), CHECKPOINT))
      await writeFile(join(dataOf(node), META), renamed(meta, { clusterId, nodeId: node.id, directoryId: newId() }))
    }),
  )
}

/** Several processes may ask at once: each makes one, and the first to finish wins. */
async function makeModel(node: KafkaNode, jars: string, model: string): Promise<void> {
  const attempt = `${model}-${randomUUID()}`
  await runTool(node, jars, { clusterId: newId(), sasl: undefined })
  await mkdir(attempt)
  try {
    for (const name of [META, CHECKPOINT]) await copyFile(join(dataOf(node), name), join(attempt, name))
    await rename(attempt, model).catch(async (error: unknown) => {
      if (!(await exists(model))) throw error
    })
  } finally {
    await rm(attempt, { recursive: true, force: true })
  }
}

function renamed(
  meta: string,
  ids: { readonly clusterId: string; readonly nodeId: number; readonly directoryId: string },
): string {
  const names = { 'cluster.id': ids.clusterId, 'node.id': String(ids.nodeId), 'directory.id': ids.directoryId }
  return Object.entries(names).reduce((text, [name, value]) => {
    const line = new RegExp(`^${name.replace('.', '\\.')}=.*$`, 'm')
    if (!line.test(text)) throw new Error(`What Kafka's tool wrote has no ${name}:\n${text}`)
    return text.replace(line, `${name}=${value}`)
  }, meta)
}

async function runTool(
  node: KafkaNode,
  jars: string,
  { clusterId, sasl }: { readonly clusterId: string; readonly sasl: SaslUser | undefined },
): Promise<void> {
  const users =
    sasl === undefined
      ? []
      : ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
          '--add-scram',
          `${mechanism}=[name=${sasl.username},password=${sasl.password}]`,
        ])
  const args = [
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
    '-cp',
    `${jars}/*`,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    clusterId,
    '-c',
    propertiesOf(node),
    ...users,
  ]
  await runCommand('java', args, { timeoutMs: 60_000 })
}

function propertiesOf(node: KafkaNode): string {
  return join(node.directory, 'server.properties')
}

function dataOf(node: KafkaNode): string {
  return join(node.directory, 'data')
}

/** Kafka wants 16 bytes in URL-safe base 64; a leading dash would be taken for an option. */
function newId(): string {
  return `M${randomBytes(16).toString('base64url').slice(1)}`
}
