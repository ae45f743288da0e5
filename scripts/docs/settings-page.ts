import { describeSettings, type SettingDescription } from '@millrace/core'
import { markdownTable } from './markdown-table.ts'

const GROUPS: readonly (readonly [prefix: string, title: string])[] = [
  ['', 'App and worker'],
  ['agent.', 'Agents that say nothing else'],
  ['kafka.', 'Connections to Kafka'],
  ['web.', 'Web'],
]

/** `docs/reference/settings.md`: every setting with its default, variable and option. */
export function settingsPage(): string {
  return `# Settings

Generated from \`packages/core/src/lib/settings/setting-declarations.ts\`; run \`node --import tsx scripts/generate-docs.ts\` after a change there.

A setting is taken from the first of these that has it: the command line, the environment, what \`createApp\` was given, the default. Dots are
nested objects there: \`web.port\` is \`createApp({ web: { port: 8080 } })\`. A variable that is set and blank is refused. A secret may be in a file: its variable with \`_FILE\` at the end names it. A setting that does not exist is
\`SETTING_UNKNOWN\`, a value that cannot be used \`SETTING_INVALID\`.

Durations are milliseconds as a number, or text: \`'250ms'\`, \`'10s'\`, \`'5m'\`, \`'1h'\`, \`'1d'\`. Sizes are bytes as a number, or text: \`'512kb'\`, \`'32mb'\`, \`'1gb'\`
(units of 1024). Flags are \`true\` or \`false\` in variables, \`--name\` and \`--no-name\` on the command line.

${GROUPS.map(([prefix, title]) => section(prefix, title)).join('\n')}`
}

function section(prefix: string, title: string): string {
  const rows = describeSettings()
    .filter(({ name }) => groupOf(name) === prefix)
    .map(settingRow)
  return `## ${title}\n\n${markdownTable(['Setting', 'Default', 'What it does', 'Variable and option'], rows)}`
}

/** The group of the page that a setting belongs to: the longest of the prefixes. */
function groupOf(name: string): string {
  return GROUPS.map(([prefix]) => prefix).findLast((prefix) => name.startsWith(prefix)) ?? ''
}

function settingRow(setting: SettingDescription): readonly string[] {
  const options = [setting.option, ...setting.aliases].flatMap((option) =>
    option === undefined ? [] : [`\`${option.length === 1 ? '-' : '--'}${option}\``],
  )
  const names = setting.secret ? [setting.environment, `${setting.environment}_FILE`] : [setting.environment]
  const variable = setting.environment === undefined ? [] : names.map((name) => `\`${name}\``)
  return [
    `\`${setting.name}\``,
    showDefault(setting),
    `${setting.help} Takes ${showType(setting)}.`,
    // Below one another: side by side they would make the table wider than a page.
    [...variable, ...options].join('<br>'),
  ]
}

/** One value is shown as code, a sentence as text. */
function showDefault({ default: value, required }: SettingDescription): string {
  if (required) return 'must be given'
  if (value === undefined) return 'unset'
  return value.includes(' ') ? value.replaceAll("'", '`') : `\`${value}\``
}

function showType({ type, accepts }: SettingDescription): string {
  if (type === 'duration' || type === 'size') return `a ${type}`
  return type === 'choice' ? accepts.replaceAll("'", '`') : accepts
}
