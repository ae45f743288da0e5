import { validateName } from '@millrace/core'
import type { StreamsDeps } from '../streams-deps.ts'
import { Channel } from './channel.ts'

/** An in-memory topic. Its name is for messages; without one it is called `channel`. */
export function createChannel<T>(deps: StreamsDeps, name = 'channel'): Channel<T> {
  return new Channel<T>(deps, validateName('channel', name))
}
