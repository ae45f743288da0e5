import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { mavenJars } from '@millrace/kafka-for-tests/jars'
import type { Answer, Scenario } from './scenario.ts'

const directory = join(import.meta.dirname, '../..')

/** What Kafka Streams answers, in one Java process: about 2 s, and 50 ms for each scenario. Needs Java 17 and Maven. */
export async function askKafkaStreams(scenarios: readonly Scenario[]): Promise<readonly Answer[]> {
  const jars = await mavenJars(join(directory, 'pom.xml'))
  const args = ['-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', `${jars}/*`]
  const java = spawn('java', [...args, join(directory, 'java/Answers.java')], { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  java.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  java.stdin.end(JSON.stringify(scenarios))
  const [code] = await once(java, 'close')
  if (code !== 0) throw new Error(`Kafka Streams gave no answers: exit code ${code}.`)
  return JSON.parse(output)
}
