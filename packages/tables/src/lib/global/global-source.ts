import type { TopicDeclaration } from '@millrace/core'

interface SourceOptions {
  readonly name: string
  readonly topic: string | undefined
  readonly partitions: number | undefined
  readonly keyCodec: { readonly name: string }
}

/** The topic of a global table: named after app and table unless a name was given. */
export function globalSource(
  deps: { readonly appId: string },
  { name, topic, partitions, keyCodec }: SourceOptions,
): TopicDeclaration {
  return {
    name: topic ?? `${deps.appId}-${name}-global`,
    partitions,
    config: { 'cleanup.policy': 'compact' },
    create: true,
    internal: topic === undefined,
    keyCodec: keyCodec.name,
  }
}
