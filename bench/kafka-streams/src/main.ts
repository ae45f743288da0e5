// pnpm answers [--write] [--seed N --times N]
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { pairsOf, readAnswers, writeAnswers } from './lib/answers.ts'
import { comparable } from './lib/compare.ts'
import { DIFFERENCES } from './lib/differences.ts'
import { generate } from './lib/generate.ts'
import { askKafkaStreams } from './lib/kafka-streams.ts'
import { askMillrace } from './lib/millrace.ts'
import { answerText, parseRecord, recordText } from './lib/notation.ts'
import type { Answer, Scenario } from './lib/scenario.ts'

const USAGE = `pnpm answers                      ask Kafka Streams the committed scenarios again; fails if an answer is another one
pnpm answers --write              make the committed scenarios anew, with its answers
pnpm answers --seed 7 --times 20  ask both 20 times as many scenarios of another seed; fails where they differ`

/** Of the scenarios that are committed. */
const SEED = 1

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const { values } = parseArgs({ options: { seed: text, times: text, write: flag, help: flag } })

if (values.help === true) console.log(USAGE)
else if (values.write === true) await write()
else if (values.seed !== undefined || values.times !== undefined)
  await compare(generate(Number(values.seed ?? SEED), Number(values.times ?? 1)))
else await check()

async function write(): Promise<void> {
  const scenarios = generate(SEED)
  writeAnswers(scenarios, await askKafkaStreams(scenarios))
}

/** The committed scenarios, and the differences on purpose. */
async function check(): Promise<void> {
  const answered = readAnswers()
  const differing = DIFFERENCES.map(({ name, operator, records }): Scenario => ({
    name,
    operator,
    records: records.map(parseRecord),
  }))
  const answers = await askKafkaStreams([...answered.map(({ scenario }) => scenario), ...differing])
  const expected = [...answered.map(({ says }) => says), ...DIFFERENCES.map(({ kafkaStreams }) => kafkaStreams)]
  const asked = [...answered.map(({ scenario }) => scenario), ...differing]
  for (const [nth, [scenario, answer]] of pairsOf(asked, answers).entries()) {
    const says = nth < answered.length ? comparable(scenario, answer) : answerText(answer)
    assertSame(scenario, { committed: expected[nth] ?? [], 'Kafka Streams': says })
  }
  if (process.exitCode === undefined) console.log(`${asked.length} answers are as they were.`)
}

async function compare(scenarios: readonly Scenario[]): Promise<void> {
  const answers: readonly Answer[] = await askKafkaStreams(scenarios)
  for (const [scenario, answer] of pairsOf(scenarios, answers))
    assertSame(scenario, {
      'Kafka Streams': comparable(scenario, answer),
      Millrace: comparable(scenario, await askMillrace(scenario)),
    })
  if (process.exitCode === undefined) console.log(`${scenarios.length} answers are the same.`)
}

/** Prints a scenario to which two say different things. */
function assertSame({ name, operator, records }: Scenario, said: Readonly<Record<string, readonly string[]>>): void {
  const [[one, first], [other, second]] = Object.entries(said) as [[string, string[]], [string, string[]]]
  if (isDeepStrictEqual(first, second)) return
  console.error(`${name}: ${JSON.stringify(operator)}`)
  for (const [nth, record] of records.entries()) console.error(`  ${nth}: ${recordText(record)}`)
  console.error(
    `only ${one}:`,
    first.filter((line) => !second.includes(line)),
  )
  console.error(
    `only ${other}:`,
    second.filter((line) => !first.includes(line)),
  )
  process.exitCode = 1
}
