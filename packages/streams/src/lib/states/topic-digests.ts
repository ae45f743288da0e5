import { createHash } from 'node:crypto'

/** Digests of topics' names: with an offset, one tells an event that comes again from another one. */
export class TopicDigests {
  readonly #known = new Map<string, number>()

  of(topic: string): number {
    let digest = this.#known.get(topic)
    if (digest === undefined)
      this.#known.set(topic, (digest = createHash('sha1').update(topic).digest().readUInt32BE(0)))
    return digest
  }
}
