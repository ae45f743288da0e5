import { describeSettings, type SettingName, type SettingTypes } from '@millrace/core'
import { option, type OptionGrammar } from './grammar.ts'

/** Headings of the help, with the settings under each: names, or prefixes that end in a dot. */
const GROUPS: readonly (readonly [heading: string, names: readonly (SettingName | `${string}.`)[]])[] = [
  [
    'Common settings',
    ['broker', 'store', 'processingGuarantee', 'dataDirectory', 'commitInterval', 'offsetReset', 'processes'],
  ],
  ['Web', ['web.']],
  ['Agents', ['agent.']],
  ['Tables', ['standbys', 'rack', 'acceptableRecoveryLag', 'maxWarmUps', 'cacheBytes', 'freeze']],
  [
    'Topics',
    [
      'topics.',
      'topicPartitions',
      'replicationFactor',
      'onOffsetLost',
      'isolation',
      'onBatchError',
      'repartitionPurgeInterval',
    ],
  ],
  [
    'Group and time-outs',
    [
      'instanceId',
      'sessionTimeout',
      'heartbeatInterval',
      'rebalanceTimeout',
      'drainTimeout',
      'shutdownTimeout',
      'connectTimeout',
      'deliveryTimeout',
      'transactionTimeout',
      'stallAfter',
    ],
  ],
  ['Kafka connections', ['kafka.']],
]
const OTHERS = 'Limits'

const KINDS: Readonly<Record<keyof SettingTypes, Pick<OptionGrammar, 'type' | 'valueName'>>> = {
  text: { type: 'string' },
  pem: { type: 'string' },
  pemFile: { type: 'string' },
  name: { type: 'string' },
  choice: { type: 'string' },
  flag: { type: 'boolean' },
  integer: { type: 'number' },
  integerOrAuto: { type: 'string', valueName: "number or 'auto'" },
  duration: { type: 'string', valueName: 'duration' },
  durationOrFalse: { type: 'string', valueName: 'duration' },
  size: { type: 'string', valueName: 'size' },
  broker: { type: 'string', valueName: 'URL' },
  store: { type: 'string', valueName: 'URL' },
  registry: { type: 'string', valueName: 'URL' },
  webDriver: { type: 'string' },
  token: { type: 'string' },
}

/** Every setting of an app as an option. Values stay text: the app parses and checks them. */
export function settingOptions(): readonly OptionGrammar[] {
  return describeSettings().flatMap(({ name, option: typed, aliases, type, help, choices, default: standard }) =>
    typed === undefined
      ? []
      : [
          option(typed, {
            key: name,
            aliases,
            ...KINDS[type],
            describe: help,
            choices,
            shownDefault: standard,
            group: headingOf(name),
          }),
        ],
  )
}

function headingOf(name: SettingName): string {
  const group = GROUPS.find(([, names]) =>
    names.some((each) => each === name || (each.endsWith('.') && name.startsWith(each))),
  )
  return group?.[0] ?? OTHERS
}

/** In the order of the help. */
export const SETTING_HEADINGS: readonly string[] = [...GROUPS.map(([heading]) => heading), OTHERS]
