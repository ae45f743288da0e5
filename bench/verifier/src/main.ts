// pnpm verify --seed N --minutes M --kills K --records R --guarantee at-least-once|exactly-once --broker kafka|embedded|kafka://…
import { toError } from '@millrace/core'
import { DEFECTS } from './defects/defects.ts'
import { keepResult, reportText } from './lib/report.ts'
import { readOptions, USAGE, type VerifyOptions } from './lib/verify-options.ts'
import { verify } from './lib/verify.ts'

const args = process.argv.slice(2)
if (args.includes('--help')) {
  console.log(USAGE)
  process.exit(0)
}

function understood(): ReturnType<typeof readOptions> {
  try {
    return readOptions(args)
  } catch (error) {
    console.error(`${toError(error).message}\n${USAGE}`)
    process.exit(2)
  }
}

async function runOnce(options: VerifyOptions, json: string | undefined): Promise<boolean> {
  const result = await verify(options, (line) => console.log(`  ${line}`))
  console.log(reportText(options, result))
  console.log(`  result: ${keepResult(options, result, json)}`)
  return result.ok
}

/** Each defect that the guarantee and the broker know; true when each has the outcome that it must have. */
async function prove(options: VerifyOptions): Promise<boolean> {
  const lines: string[] = []
  for (const { name, describe, guarantees, kafkaOnly, harmless, needs } of DEFECTS) {
    if (!guarantees.includes(options.guarantee) || (kafkaOnly === true && !options.broker.startsWith('kafka'))) continue
    const kills = Math.max(options.kills, needs?.kills ?? 0)
    const freezes = Math.max(options.freezes, needs?.freezes ?? 0)
    const ok = await runOnce({ ...options, kills, freezes, defect: name }, undefined)
    lines.push(
      `${ok === (harmless === true) ? 'as it must be' : 'NOT AS IT MUST BE'}: ${name} (${describe}) ${ok ? 'passed' : 'was found'}`,
    )
  }
  console.log(lines.join('\n'))
  return !lines.some((line) => line.startsWith('NOT'))
}

const { options, json, prove: isProof } = understood()
process.exitCode = (await (isProof ? prove(options) : runOnce(options, json))) ? 0 : 1
