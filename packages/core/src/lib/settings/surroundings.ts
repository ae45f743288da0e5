import type { Clock } from '../../contracts/clock.ts'
import type { Logger } from '../../contracts/logger.ts'
import type { Sensor } from '../../contracts/sensor.ts'
import type { Transport } from '../../contracts/transport.ts'
import type { SiblingProcesses } from '../../operations/sibling-processes.ts'
import { type Redact, RedactingLogger, redactor } from '../redaction/redact.ts'
import type { ResolvedSettings } from './app-settings.ts'
import { secretsOf } from './setting-names.ts'

/** The environment in which an app runs. The command line and the test kit set these before anything starts. */
export interface Surroundings {
  settings: ResolvedSettings
  clock: Clock
  /** A logger that is set here gets texts without secrets. */
  log: Logger
  /** Hides the secrets of the current settings. */
  redact: Redact
  sensor: Sensor
  /** Directory of the app's package. */
  home: string
  /** Freeze values that tables return: in development and tests. */
  freeze: boolean
  /** If this process is one of several of the app on this machine (`processes`). */
  siblings: SiblingProcesses | undefined
  /** Opens connections that belong to no worker, in place of the broker in the settings. */
  openTransport: (() => Transport) | undefined
}

/** Surroundings whose logger gets no secrets, whoever sets it. */
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
