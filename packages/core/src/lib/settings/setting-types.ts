import type { StoreDriver } from '../../contracts/store.ts'
import type { Transport, TransportDeps } from '../../contracts/transport.ts'
import type { WebDriver } from '../../contracts/web-driver.ts'
import type { ByteSize } from '../units/byte-size.ts'
import type { Duration } from '../units/duration.ts'

/** Makes a transport that has no URL. */
export type TransportFactory = (deps: TransportDeps) => Transport

/** Makes a store that has no URL. */
export type StoreFactory = () => StoreDriver

/** Makes a web server that has no name. */
export type WebDriverFactory = () => WebDriver

/** Gives a bearer token for SASL OAUTHBEARER. */
export type TokenProvider = () => Promise<string>

/** PEM text of a setting, and the file that it came from, whose contents may change while the app runs. */
export interface PemSource {
  readonly text: string
  /** `undefined` if the setting was the text itself. */
  readonly file: string | undefined
}

/** For each type of setting: its type in the app file, its resolved type, and the suffix of its resolved name. */
export interface SettingTypes {
  text: { input: string; output: string; suffix: '' }
  /** Certificates or a key: the text of a PEM file, or its path. Resolved to the text. */
  pem: { input: string; output: string; suffix: '' }
  /** The same for files that are read again while the app runs. */
  pemFile: { input: string; output: PemSource; suffix: '' }
  name: { input: string; output: string; suffix: '' }
  choice: { input: string; output: string; suffix: '' }
  flag: { input: boolean; output: boolean; suffix: '' }
  integer: { input: number; output: number; suffix: '' }
  /** A number, or as many as suit the machine. */
  integerOrAuto: { input: number | 'auto'; output: number | 'auto'; suffix: '' }
  duration: { input: Duration; output: number; suffix: 'Ms' }
  /** `false` resolves to `Infinity`: never. */
  durationOrFalse: { input: Duration | false; output: number; suffix: 'Ms' }
  size: { input: ByteSize; output: number; suffix: 'Bytes' }
  broker: { input: string | TransportFactory; output: string | TransportFactory; suffix: '' }
  registry: { input: string; output: string; suffix: '' }
  store: { input: string | StoreFactory; output: string | StoreFactory; suffix: '' }
  webDriver: { input: 'hono' | WebDriverFactory; output: 'hono' | WebDriverFactory; suffix: '' }
  token: { input: TokenProvider; output: TokenProvider; suffix: '' }
}

/** A declaration without its literal types. */
export interface SettingDeclaration {
  readonly type: keyof SettingTypes
  readonly help: string
  readonly default?: string | number | boolean
  readonly derived?: string
  readonly required?: true
  readonly choices?: readonly string[]
  readonly least?: number
  readonly most?: number
  readonly option?: string
  readonly aliases?: readonly string[]
  readonly secret?: true
}
