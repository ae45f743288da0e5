import { createHash } from 'node:crypto'

/** Digests of topics' names. Together with an offset, a digest identifies an event that is redelivered. */
export class TopicDigests {
  readonly #known = new Map<string, number>()

  of(topic: string): number {
    let digest = this.#known.get(topic)
    if (digest === undefined)
      this.#known.set(topic, (digest = createHash('sha1').update(topic).digest().readUInt32BE(0)))
    return digest
  }
}
