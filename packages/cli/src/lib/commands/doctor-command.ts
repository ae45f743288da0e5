import type { CommandOutput } from '@millrace/core'
import { checkApp, checkWithoutApp, type Surroundings } from '../doctor/check-app.ts'
import type { Finding } from '../doctor/finding.ts'
import type { Terminal } from '../output/terminal.ts'
import type { Command } from './command-context.ts'

/** `doctor`: looks at everything that keeps a worker from running, and says what to do. */
export const doctorCommand: Command = {
  grammar: {
    name: 'doctor',
    describe: 'Check Node.js, packages, settings, broker, topics, tables, port and disk, and say what to do',
    options: [],
    positionals: [],
    showsSettings: false,
  },
  // A broker that does not answer at once is what one wants to be told of.
  defaults: { connectTimeout: '10s' },
  logsToOutput: false,
  run: async ({ app, cli, json, terminal }) => tell(await checkApp(app, surroundingsOf(terminal)), cli, json),
}

/** `doctor` where there is no app, because of `failure`. */
export function doctorWithoutApp(
  failure: unknown,
  cli: CommandOutput,
  given: { terminal: Terminal; json: boolean },
): number {
  return tell(checkWithoutApp(failure, surroundingsOf(given.terminal)), cli, given.json)
}

function surroundingsOf({ env }: Terminal): Surroundings {
  return { node: process.version, env }
}

function tell(findings: readonly Finding[], cli: CommandOutput, json: boolean): number {
  const bad = findings.filter(({ status }) => status === 'wrong').length
  if (json) cli.json(findings)
  else {
    for (const finding of findings) cli.say(lineOf(finding, cli))
    cli.say(bad === 0 ? '\nNothing is wrong.' : `\n${bad === 1 ? 'One thing is' : `${bad} things are`} wrong.`)
  }
  return bad === 0 ? 0 : 1
}

function lineOf({ name, status, detail, fix }: Finding, { color }: CommandOutput): string {
  const mark = { ok: color.green('ok   '), note: color.yellow('note '), wrong: color.red('wrong') }[status]
  const todo = fix === null ? '' : `\n                   ${color.cyan('To do:')} ${fix}`
  return `${mark}  ${name.padEnd(10)}  ${detail}${todo}`
}
