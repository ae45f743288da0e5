import { expect, test } from 'vitest'
import { type OutputProcess, outputTrouble } from './run-process.ts'

/** A process that notes what is done with it. */
function noted(listeners: number): { readonly did: string[]; readonly process: OutputProcess } {
  const did: string[] = []
  return {
    did,
    process: {
      emit: (event) => {
        did.push(event)
        return listeners > 0
      },
      listenerCount: () => listeners,
      exit: (code) => void did.push(`exit ${code}`),
      stderr: { write: (text) => did.push(text) },
    },
  }
}

const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' })

test.each([
  ['a reader that has gone ends a command', gone, 0, ['outputGone', 'exit 0']],
  ['and asks a worker to stop', gone, 1, ['outputGone']],
  ['a full disk fails a command', full, 0, ['The output cannot be written: no space left.\n', 'exit 1']],
  ['and is told by a worker, which goes on', full, 1, ['The output cannot be written: no space left.\n']],
])('%s', (_case, error, listeners, expected) => {
  const { did, process } = noted(listeners)
  const onTrouble = outputTrouble(process)
  onTrouble(error)
  // Both streams may fail, and each write again.
  onTrouble(error)
  expect(did).toEqual(expected)
})
