import { headerNamed, MillraceError, type RawRecord } from '@millrace/core'
import { type CodecKeys, WINDOW_HEADER } from '@millrace/state'
import type { DueSource, StateDefinition } from '@millrace/worker'
import type { ClosedWindow } from './window-options.ts'
import type { WindowRows } from './window-rows.ts'

/** How a view's rows are read. */
interface ViewShape<K, V> {
  readonly keys: CodecKeys<K>
  readonly rows: Pick<WindowRows<K, V>, 'decode'>
}

/** The results of a view's closed windows, as a source for an agent. */
export class ClosedWindows<K, V> implements DueSource<K, ClosedWindow<K, V>> {
  readonly kind = 'window'
  readonly due: StateDefinition
  readonly #shape: ViewShape<K, V>
  #reader: string | undefined = undefined

  constructor(due: StateDefinition, shape: ViewShape<K, V>) {
    this.due = due
    this.#shape = shape
  }

  get name(): string {
    return this.due.name
  }

  /** Whether an agent reads it. Otherwise no window is closed, and none is kept to be closed. */
  get isRead(): boolean {
    return this.#reader !== undefined
  }

  readBy(agent: string): void {
    if (this.#reader !== undefined && this.#reader !== agent)
      throw new MillraceError(
        'DEFINITION_INVALID',
        `Agents "${this.#reader}" and "${agent}" both read the closed windows of table "${this.name}" (onWindowClose is an agent, too): let one of them send what the other needs to a topic.`,
      )
    this.#reader = agent
  }

  keyOf({ key }: Pick<RawRecord, 'key'>): K {
    return this.#shape.keys.decode(key ?? Buffer.alloc(0))
  }

  valueOf({ key, value, headers }: Pick<RawRecord, 'key' | 'value' | 'headers'>): ClosedWindow<K, V> {
    const [start = Number.NaN, end = Number.NaN] = (headerNamed(headers, WINDOW_HEADER) ?? '').split('/').map(Number)
    return {
      key: this.keyOf({ key }),
      window: { start, end },
      value: this.#shape.rows.decode(value ?? Buffer.alloc(0), { start }, key ?? Buffer.alloc(0)),
    }
  }
}
