import type { CommandProgress } from '@millrace/core'
import type { OutputStream } from './terminal.ts'

const WIDTH = 30

/** A bar that is drawn over itself, at most once a percent; nothing where nobody watches. */
export function progressBar(total: number, stream: OutputStream): CommandProgress {
  if (stream.isTTY !== true) return { tick: () => undefined, done: () => undefined }
  let steps = 0
  let drawn = -1
  const draw = (): void => {
    const share = total > 0 ? Math.min(steps / total, 1) : 1
    const percent = Math.floor(share * 100)
    if (percent === drawn) return
    drawn = percent
    const filled = Math.round(share * WIDTH)
    stream.write(`\r${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${percent}% ${steps}/${total}`)
  }
  draw()
  return {
    tick: (count = 1) => {
      steps += count
      draw()
    },
    done: () => {
      stream.write('\r\u001B[K')
    },
  }
}
