import { type CodecUse, MillraceError } from '@millrace/core'

/**
 * How subjects are named: `TopicNameStrategy` after the topic (`orders-value`, `orders-key`), `RecordNameStrategy` after
 * what the schema describes (`shop.Order`), `TopicRecordNameStrategy` after both (`orders-shop.Order`).
 */
export type SubjectStrategy = 'TopicNameStrategy' | 'RecordNameStrategy' | 'TopicRecordNameStrategy'

/** Options of all codecs of a registry. */
export interface RegistryCodecOptions {
  /** The subject of the schema. Default: as `strategy` says. */
  readonly subject?: string | undefined
  /** Default `'TopicNameStrategy'`. The others need a schema in the code. */
  readonly strategy?: SubjectStrategy | undefined
  /**
   * Register the schema in the code when the app starts. Default false: the app looks its id up, and whatever deploys
   * the app registers it, as `millrace schemas register` does.
   */
  readonly register?: boolean | undefined
}

const STRATEGIES: readonly SubjectStrategy[] = ['TopicNameStrategy', 'RecordNameStrategy', 'TopicRecordNameStrategy']

/** The subject of a codec. `recordName` gives `undefined` if there is no schema in the code. Throws `DEFINITION_INVALID`. */
export function subjectOf(
  { topic, part }: Pick<CodecUse, 'topic' | 'part'>,
  { subject, strategy = 'TopicNameStrategy' }: Pick<RegistryCodecOptions, 'subject' | 'strategy'>,
  recordName: () => string | undefined,
): string {
  if (subject !== undefined) {
    if (typeof subject === 'string' && subject !== '') return subject
    throw new MillraceError('DEFINITION_INVALID', `subject of the ${part} codec of "${topic}" is no text.`)
  }
  if (!STRATEGIES.includes(strategy))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `strategy of the ${part} codec of "${topic}" is ${JSON.stringify(strategy)}; it takes ${STRATEGIES.join(', ')}.`,
    )
  if (strategy === 'TopicNameStrategy') return `${topic}-${part}`
  const name = recordName()
  if (name === undefined)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The ${part} codec of "${topic}" has strategy ${strategy} and no schema whose name it could take: give it a schema, or a subject.`,
    )
  return strategy === 'RecordNameStrategy' ? name : `${topic}-${name}`
}
