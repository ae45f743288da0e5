import type { StoreDriver } from '../../contracts/store.ts'
import type { Transport, TransportDeps } from '../../contracts/transport.ts'
import type { WebDriver } from '../../contracts/web-driver.ts'
import type { ByteSize } from '../units/byte-size.ts'
import type { Duration } from '../units/duration.ts'

/** Makes a transport that no URL stands for. */
export type TransportFactory = (deps: TransportDeps) => Transport

/** Makes a store that no URL stands for. */
export type StoreFactory = () => StoreDriver

/** Makes a web server that no name stands for. */
export type WebDriverFactory = () => WebDriver

/** Gives a bearer token for SASL OAUTHBEARER. */
export type TokenProvider = () => Promise<string>

/** PEM text that a setting has given, and the file that it came from: what is in there may change while the app runs. */
export interface PemSource {
  readonly text: string
  /** `undefined` where the setting was the text itself. */
  readonly file: string | undefined
}

/** What each type of setting takes in the app file, what it is once resolved, and what its resolved name ends in. */
export interface SettingTypes {
  text: { input: string; output: string; suffix: '' }
  /** Certificates or a key: the text of a PEM file, or its path. Resolved to the text. */
  pem: { input: string; output: string; suffix: '' }
  /** The same for what is read again while the app runs. */
  pemFile: { input: string; output: PemSource; suffix: '' }
  name: { input: string; output: string; suffix: '' }
  choice: { input: string; output: string; suffix: '' }
  flag: { input: boolean; output: boolean; suffix: '' }
  integer: { input: number; output: number; suffix: '' }
  duration: { input: Duration; output: number; suffix: 'Ms' }
  /** `false` is resolved to `Infinity`: never. */
  durationOrFalse: { input: Duration | false; output: number; suffix: 'Ms' }
  size: { input: ByteSize; output: number; suffix: 'Bytes' }
  broker: { input: string | TransportFactory; output: string | TransportFactory; suffix: '' }
  store: { input: string | StoreFactory; output: string | StoreFactory; suffix: '' }
  webDriver: { input: 'hono' | WebDriverFactory; output: 'hono' | WebDriverFactory; suffix: '' }
  token: { input: TokenProvider; output: TokenProvider; suffix: '' }
}

/** A declaration with its own literal types forgotten. */
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
