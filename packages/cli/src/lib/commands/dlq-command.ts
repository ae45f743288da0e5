import { shownHeaders } from '@millrace/core'
import type {
  AgentDeadLetters,
  DeadLetter,
  DeadLetterDue,
  DeadLetterFailure,
  DeadLetterLocation,
  DeadLetterSummary,
  ReplayOutcome,
  ShownBytes,
} from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import { usage, wholeNumber } from '../arguments/typed-values.ts'
import { cellText, shownText } from '../output/foreign-text.ts'
import { timeText } from '../output/text-table.ts'
import { command, type Command, type CommandContext, requireName, withClient } from './command-context.ts'

/** `dlq list|show|replay`: events that agents have given up on. Needs no worker. */
export const dlqCommand: Command = command({
  name: 'dlq',
  describe: 'List, show and replay dead letters',
  options: [
    option('latest', { type: 'boolean', default: false, describe: 'show: the letter that failed last' }),
    option('all', { type: 'boolean', default: false, describe: 'replay: every letter that was not replayed yet' }),
    option('partition', { type: 'number', describe: 'show, replay: the same as the argument' }),
    option('offset', { type: 'number', describe: 'show, replay: the same as the argument' }),
    option('limit', { type: 'number', default: 5, describe: 'list: letters to show of each agent, newest first' }),
  ],
  positionals: [
    positional('action', {
      choices: ['list', 'show', 'replay'],
      describe: 'list [agent], show agent partition offset, or replay agent partition offset',
    }),
    positional('agent', { required: false, describe: 'Name of the agent', completes: 'agents' }),
    positional('letter-partition', {
      key: 'at',
      required: false,
      type: 'number',
      describe: 'show, replay: partition of the letter, as listed',
    }),
    positional('letter-offset', {
      key: 'offset-at',
      required: false,
      type: 'number',
      describe: 'show, replay: its offset',
    }),
  ],
  examples: ['dlq list', 'dlq show count-words 3 7', 'dlq replay count-words 3 7', 'dlq replay count-words --all'],
  run: (context) => {
    const { app, values } = context
    const agent = values['agent'] === undefined ? undefined : String(values['agent'])
    if (agent !== undefined) requireName(app, 'agent', agent)
    if (values['action'] === 'list') {
      refuse(context, 'list', ['at', 'offset-at', 'latest', 'all', 'partition', 'offset'])
      return list(context, agent)
    }
    if (agent === undefined) throw usage(`dlq ${String(values['action'])} needs <agent>.`)
    if (values['action'] === 'show') {
      refuse(context, 'show', ['all'])
      return show(context, agent)
    }
    refuse(context, 'replay', ['latest'])
    return replay(context, agent)
  },
})

async function list({ app, cli, json, values }: CommandContext, agent: string | undefined): Promise<number> {
  const newest = wholeNumber(values['limit'], '--limit')
  const found = await withClient(app, ({ deadLetters }) => deadLetters.list({ agent, newest, signal: cli.signal }))
  if (json) {
    cli.json(found.map((one) => ({ name: one.agent, ...one })))
    return 0
  }
  if (found.every(({ letters }) => letters === 0)) {
    cli.say(agent === undefined ? `The app "${app.id}" has no dead letters.` : `Agent "${agent}" has no dead letters.`)
    return 0
  }
  cli.table(found.map(({ agent: name, letters, waiting, topic }) => ({ agent: name, letters, waiting, topic })))
  for (const one of found) {
    if (one.newest.length === 0) continue
    cli.say(`\n${one.agent}${headline(one)}`)
    cli.table(one.newest.map((letter) => rowOf(letter)))
  }
  return 0
}

async function show(context: CommandContext, agent: string): Promise<number> {
  const { app, cli, json, values, terminal } = context
  const latest = values['latest'] === true
  const place = placeOf(values, 'show')
  if (latest === (place !== undefined)) throw usage('dlq show takes either <partition> <offset> or --latest.')
  const which = place ?? 'latest'
  const letter = await withClient(app, ({ deadLetters }) => deadLetters.show(agent, which, { signal: cli.signal }))
  if (letter === undefined) {
    const where =
      which === 'latest' ? 'no dead letters' : `no dead letter at partition ${which.partition}, offset ${which.offset}`
    terminal.stderr.write(`Agent "${agent}" has ${where}.\n`)
    return 1
  }
  if (json) cli.json({ name: agent, ...letter, headers: shownHeaders(letter.headers) })
  else sayLetter(letter, cli)
  return 0
}

async function replay({ app, cli, json, values, quiet, terminal }: CommandContext, agent: string): Promise<number> {
  const place = placeOf(values, 'replay')
  if ((values['all'] === true) === (place !== undefined))
    throw usage('dlq replay takes either <partition> <offset> or --all.')
  const which = place ?? 'all'
  const outcome = await withClient(app, ({ deadLetters }) => deadLetters.replay(agent, which, { signal: cli.signal }))
  if (json) cli.json({ name: agent, ...outcome })
  else if (!quiet) cli.say(sentenceOf(agent, outcome))
  for (const { partition: at, offset: of, reason } of outcome.refused.first)
    terminal.stderr.write(`Partition ${at}, offset ${of} was not replayed: ${cellText(reason)}\n`)
  const untold = outcome.refused.count - outcome.refused.first.length
  if (untold > 0) terminal.stderr.write(`So were ${untold} more.\n`)
  return outcome.refused.count > 0 ? 1 : 0
}

function sayLetter(letter: DeadLetter, cli: CommandContext['cli']): void {
  const { agent, topic, partition, offset, source, due, failure, failedAt, replayed, key, value, headers, stack } =
    letter
  const line = (name: string, text: string): void => cli.say(`${cli.color.bold(name.padEnd(9))} ${text}`)
  line('agent', agent)
  line('letter', `${topic}, partition ${partition}, offset ${offset}${replayed ? ', replayed' : ''}`)
  if (source !== undefined)
    line(
      'from',
      `${source.topic}, partition ${source.partition}, offset ${source.offset}, ${timeText(source.timestamp)}`,
    )
  if (due !== undefined) line('due', cellText(`${dueText(due)}, partition ${due.partition}, ${timeText(due.at)}`))
  if (failedAt !== undefined) line('failed', `${timeText(failedAt)}, attempts: ${failure.attempts}`)
  if (failure.first !== undefined) line('first', cellText(`${timeText(failure.first.at)}, ${errorOf(failure.first)}`))
  line('error', cellText(errorOf(failure)))
  line('key', bytesText(key))
  line('value', bytesText(value))
  for (const [name, text] of shownHeaders(headers)) line('header', `${cellText(name)} = ${cellText(text ?? '')}`)
  if (stack !== '') cli.say(`\n${shownText(stack)}`)
}

function errorOf({ class: name, code, message }: Pick<DeadLetterFailure, 'class' | 'code' | 'message'>): string {
  return [name, code, message].filter((text) => text !== '').join(' · ')
}

function bytesText({ as, value }: ShownBytes): string {
  if (as === 'none') return 'none'
  return `${cellText(value)}  (${cellText(as)})`
}

function sentenceOf(agent: string, { replayed, before }: ReplayOutcome): string {
  const sent = `${replayed} dead ${replayed === 1 ? 'letter' : 'letters'} of agent "${agent}" sent back.`
  return before === 0 ? sent : `${sent} Replayed before: ${before}.`
}

function headline({ letters, newest }: AgentDeadLetters): string {
  return letters > newest.length ? `: the ${newest.length} newest` : ''
}

/** `timer unpaid of order-7 in reminders`. */
function dueText({ kind, state, key, window, timer }: DeadLetterDue): string {
  const span = window === undefined ? '' : ` ${timeText(window.start)}/${timeText(window.end)}`
  return `${kind}${span}${timer === undefined ? '' : ` ${timer}`} of ${key} in ${state}`
}

function rowOf({
  partition,
  offset,
  source,
  due,
  failure,
  failedAt,
  replayed,
}: DeadLetterSummary): Record<string, unknown> {
  return {
    partition,
    offset,
    failed: failedAt === undefined ? '' : timeText(failedAt),
    source:
      due !== undefined
        ? dueText(due)
        : source === undefined
          ? ''
          : `${source.topic}/${source.partition}@${source.offset}`,
    code: failure.code === '' ? failure.class : failure.code,
    message: shortened(failure.message),
    replayed: replayed ? 'yes' : 'no',
  }
}

const LONGEST_MESSAGE = 80

function shortened(text: string): string {
  return text.length <= LONGEST_MESSAGE ? text : `${text.slice(0, LONGEST_MESSAGE - 1)}…`
}

/** The letter named by arguments or options; `undefined` if none is named. */
function placeOf(values: CommandContext['values'], action: string): DeadLetterLocation | undefined {
  const partition = eitherOf(values, 'at', 'partition')
  const offset = eitherOf(values, 'offset-at', 'offset')
  if (partition === undefined && offset === undefined) return undefined
  if (partition === undefined || offset === undefined) throw usage(`dlq ${action} needs <partition> and <offset>.`)
  return { partition: wholeNumber(partition, 'The partition'), offset: wholeNumber(offset, 'The offset') }
}

function eitherOf(values: CommandContext['values'], argument: string, option: string): unknown {
  const [first, second] = [values[argument], values[option]]
  if (first !== undefined && second !== undefined)
    throw usage(`The ${option} was given as an argument and as --${option}.`)
  return first ?? second
}

function refuse({ values }: CommandContext, action: string, keys: readonly string[]): void {
  const given = keys.find((key) => values[key] !== undefined && values[key] !== false)
  if (given === undefined) return
  const isArgument = given === 'at' || given === 'offset-at'
  const what = isArgument ? 'a partition and an offset as arguments' : `--${given}`
  throw usage(`dlq ${action} does not take ${what}.`)
}
