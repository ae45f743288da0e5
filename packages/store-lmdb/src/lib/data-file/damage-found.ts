/** What is wrong with a data file: ends in no full stop, for the middle of a sentence. */
export class DamageFound extends Error {
  override readonly name: string = 'DamageFound'
}
