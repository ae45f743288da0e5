import { redactor, secretsOfEnvironment } from '@millrace/core'
import type { CommandOutput } from '@millrace/core/operations'
import { option } from '../arguments/grammar.ts'
import { checkApp, checkWithoutApp, type MachineFacts } from '../doctor/check-app.ts'
import type { Finding } from '../doctor/finding.ts'
import { shownText } from '../output/foreign-text.ts'
import type { Terminal } from '../output/terminal.ts'
import { command, type Command } from './command-context.ts'

/** `doctor`: checks everything that can keep a worker from running, and suggests fixes. */
export const doctorCommand: Command = command({
  name: 'doctor',
  describe: 'Check Node.js, packages, settings, broker, topics, tables, port and disk, and say what to do',
  // A broker that does not answer at once is a finding, not a reason to wait.
  defaults: { connectTimeout: '10s' },
  run: async ({ app, cli, clock, json, terminal }) =>
    report(await checkApp(app, { ...surroundingsOf(terminal), nowMs: clock.now() }), cli, { json, terminal }),
})

/** `doctor` without an app, because of `failure`. */
export function doctorWithoutApp(
  failure: unknown,
  cli: CommandOutput,
  given: { terminal: Terminal; json: boolean },
): number {
  return report(checkWithoutApp(failure, surroundingsOf(given.terminal)), cli, given)
}

function surroundingsOf({ env }: Terminal): Pick<MachineFacts, 'node' | 'env'> {
  return { node: process.version, env }
}

function report(
  found: readonly Finding[],
  cli: CommandOutput,
  { json, terminal }: { readonly json: boolean; readonly terminal: Terminal },
): number {
  const redact = redactor(secretsOfEnvironment(terminal.env))
  const findings = found.map((finding) => ({ ...finding, detail: redact(finding.detail) }))
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
  const todo = fix === null ? '' : `\n                   ${color.cyan('To do:')} ${shownText(fix)}`
  return `${mark}  ${name.padEnd(10)}  ${shownText(detail)}${todo}`
}

/** `clean-versions`: deletes local stores of other Millrace versions. */
export const cleanVersionsCommand: Command = command({
  name: 'clean-versions',
  describe: 'Delete local stores of other versions of Millrace; their rows are in the changelogs',
  options: [option('dry-run', { type: 'boolean', default: false, describe: 'Only list what would be deleted' })],
  run: async ({ app, cli, values, json, quiet }) => {
    const stores = await app.otherStores()
    const isDry = values['dry-run'] === true
    if (!isDry) for (const store of stores) await app.removeOtherStore(store)
    const rows = stores.map(({ directory, format }) => ({ name: directory, format }))
    if (json) cli.json(rows)
    else if (rows.length > 0) {
      cli.table(rows)
      if (!quiet) cli.say(isDry ? '\nNothing was deleted.' : '\nDeleted.')
    } else if (!quiet) cli.say(`There are no stores of other versions under ${app.place().dataDirectory}.`)
    return 0
  },
})
