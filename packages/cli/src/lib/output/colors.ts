import type { CommandColors } from '@millrace/core'

const asItIs = (text: string): string => text

const paint =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001B[${open}m${text}\u001B[${close}m`

/** Colors for a terminal, or functions that leave text as it is. */
export function colors(wanted: boolean): CommandColors {
  if (!wanted)
    return { bold: asItIs, dim: asItIs, red: asItIs, green: asItIs, yellow: asItIs, blue: asItIs, cyan: asItIs }
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    blue: paint(34, 39),
    cyan: paint(36, 39),
  }
}
