import { join } from 'node:path'
import { mavenJars } from '@millrace/kafka-for-tests/jars'

const directory = join(import.meta.dirname, '../../kafka-streams')

/** The command that runs a job of `Peer.java`, without the job's name. Needs Java 17 and Maven. */
export async function kafkaStreamsCommand(): Promise<readonly string[]> {
  const jars = await mavenJars(join(directory, 'pom.xml'))
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
  return ['java', quiet, '-cp', `${jars}/*`, join(directory, 'java/Peer.java')]
}
