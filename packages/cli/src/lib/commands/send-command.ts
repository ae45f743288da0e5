import type { CommandLineMessage } from '@millrace/core/operations'
import { option, positional, type ParameterValues } from '../arguments/grammar.ts'
import { usage, wholeNumber } from '../arguments/typed-values.ts'
import { command, orWrongName, requireName, withClient, type Command } from './command-context.ts'

/** `send TOPIC|@AGENT VALUE`: sends one record, encoded by the target's codecs. */
export const sendCommand: Command = command({
  name: 'send',
  describe: 'Send a record to a topic, or to an agent with @name',
  options: [
    option('key', { type: 'string', aliases: ['k'], describe: 'Key of the record' }),
    option('header', { type: 'list', aliases: ['H'], describe: 'Header as name=value; may be given again' }),
    option('partition', { type: 'number', describe: 'Partition, instead of the one that the key decides' }),
    option('tombstone', {
      type: 'boolean',
      default: false,
      describe: 'Send no value: deletes the key in a compacted topic',
    }),
  ],
  positionals: [
    positional('target', { describe: 'Name of a topic, or @ and the name of an agent', completes: 'targets' }),
    positional('value', { required: false, describe: 'Text, a number or JSON, as the target declares' }),
  ],
  examples: ["send posts 'hello world' --key a", "send @count-words 'hello world'"],
  run: async ({ app, cli, values, json, quiet }) => {
    const target = String(values['target'])
    if (target.startsWith('@')) requireName(app, 'agent', target.slice(1), '@')
    const message = messageOf(values)
    const stored = await withClient(app, (client) => orWrongName(client.send(target, message)))
    const { topic, partition, offset, timestamp } = stored
    if (json) cli.json({ topic, partition, offset, timestamp })
    else if (!quiet) cli.say(`Sent to ${topic}, partition ${partition}, offset ${offset}.`)
    return 0
  },
})

function messageOf(values: ParameterValues): CommandLineMessage {
  const { key, value, partition, tombstone, header } = values
  if (tombstone === true && value !== undefined) throw usage('--tombstone sends no value, and a value was given.')
  if (tombstone !== true && value === undefined) throw usage('send needs <value>, or --tombstone.')
  if (tombstone === true && key === undefined) throw usage('--tombstone needs --key.')
  return {
    key: key === undefined ? undefined : String(key),
    value: value === undefined ? null : String(value),
    headers: readHeaders(Array.isArray(header) ? header : []),
    partition: partition === undefined ? undefined : wholeNumber(partition, '--partition'),
  }
}

function readHeaders(texts: readonly string[]): CommandLineMessage['headers'] {
  const headers = texts.map(readHeader)
  const twice = headers.find(([name], at) => headers.some(([other], before) => before < at && other === name))
  if (twice !== undefined) throw usage(`--header ${twice[0]} was given more than once.`)
  return Object.fromEntries(headers)
}

function readHeader(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw usage(`--header takes name=value, not "${text}".`)
  return [text.slice(0, at), text.slice(at + 1)]
}
