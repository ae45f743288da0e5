/** The card itself is refused, so a retry is of no use. */
export class CardRefused extends Error {
  override readonly name: string = 'CardRefused'
}

export interface Charge {
  /** The same key charges once, however often it is sent. */
  readonly idempotencyKey: string
  readonly card: string
  readonly cents: number
}

/**
 * Charges a card with the payment service at `PAYMENTS_URL`; without one, refuses cards that end in 0000 and accepts
 * all others.
 */
export async function charge({ idempotencyKey, card, cents }: Charge): Promise<void> {
  const url = process.env['PAYMENTS_URL']
  if (url === undefined || url === '') {
    if (card.endsWith('0000')) throw new CardRefused(`The card ${masked(card)} was refused.`)
    return
  }
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
    body: JSON.stringify({ card, cents }),
    signal: AbortSignal.timeout(5_000),
  })
  if (response.status === 402) throw new CardRefused(`The card ${masked(card)} was refused.`)
  if (!response.ok) throw new Error(`The payment service answered ${response.status}.`)
}

function masked(card: string): string {
  return `…${card.slice(-4)}`
}
