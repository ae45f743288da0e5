/** Something typed was refused by the app: `reason` is what is shown, and the exit code is 2. */
export class WrongUsage extends Error {
  override readonly name: string = 'WrongUsage'
  readonly reason: Error

  constructor(reason: Error) {
    super(reason.message, { cause: reason })
    this.reason = reason
  }
}
