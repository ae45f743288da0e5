import type { Clock } from '../../contracts/clock.ts'
import type { Logger } from '../../contracts/logger.ts'
import type { Sensor } from '../../contracts/sensor.ts'
import type { Transport } from '../../contracts/transport.ts'
import { type Redact, RedactingLogger, redactor } from '../redaction/redact.ts'
import type { ResolvedSettings } from './app-settings.ts'
import { secretsOf } from './setting-names.ts'

/** Where an app runs. The command line and the test kit put theirs here before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  /** What is set is given texts without secrets. */
  log: Logger
  /** With the secrets of the settings as they are now. */
  redact: Redact
  sensor: Sensor
  /** Directory of the app's package. */
  home: string
  /** Freeze what tables give out: in development and tests. */
  freeze: boolean
  /** Opens the connections that are no worker's, instead of the broker that the settings name. */
  openTransport: (() => Transport) | undefined
}

/** Surroundings whose logger is given no secrets, whoever sets it. */
export function surroundingsOf(given: Omit<Surroundings, 'redact'>): Surroundings {
  let known: { readonly settings: ResolvedSettings; readonly redact: Redact } | undefined
  const redact: Redact = (text) => {
    const { settings } = surroundings
    if (known?.settings !== settings) known = { settings, redact: redactor(secretsOf(settings)) }
    return known.redact(text)
  }
  const guarded = (log: Logger): Logger => (log instanceof RedactingLogger ? log : new RedactingLogger(log, redact))
  let logger = guarded(given.log)
  const surroundings: Surroundings = {
    ...given,
    redact,
    get log() {
      return logger
    },
    set log(log) {
      logger = guarded(log)
    },
  }
  return surroundings
}
