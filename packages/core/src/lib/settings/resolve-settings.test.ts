import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, expectTypeOf, test } from 'vitest'
import type { AppSettings, ResolvedSettings } from './app-settings.ts'
import { unknownEnvironment } from './describe-settings.ts'
import { requireProductionSettings, resolveSettings, type SettingSources } from './resolve-settings.ts'

const resolve = (argument: object, sources: Partial<SettingSources> = {}): ResolvedSettings =>
  resolveSettings({ ...sources, argument: { id: 'app', ...argument } })

const refused = (code: string, ...parts: readonly string[]): unknown =>
  expect.objectContaining({
    code,
    detail: expect.stringMatching(
      new RegExp(parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')),
    ),
  })

describe('web.tls', () => {
  const PEM = '-----BEGIN X-----\nabc\n-----END X-----\n'

  test('accepts text or a file, and remembers the file, also from MILLRACE_…_FILE', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-settings-'))
    const file = join(directory, 'tls.key')
    writeFileSync(file, PEM)
    expect(resolve({ web: { tls: { cert: PEM, key: file } } }).web.tls).toMatchObject({
      cert: { text: PEM, file: undefined },
      key: { text: PEM, file },
      clientCertificates: false,
    })
    const env = { MILLRACE_WEB_TLS_CERT: file, MILLRACE_WEB_TLS_KEY_FILE: file, MILLRACE_WEB_TLS_CA: file }
    const read = { text: PEM, file }
    expect(resolve({}, { env }).web.tls).toMatchObject({ cert: read, key: read, ca: read })
    rmSync(directory, { recursive: true })
    expect(() => resolve({}, { env })).toThrow(/web\.tls\.cert cannot be read: ENOENT/)
  })

  test.each([
    [{ cert: PEM }, /web\.tls\.key is missing/],
    [{ key: PEM }, /web\.tls\.cert is missing: web\.tls\.key is given/],
    [{ ca: PEM }, /web\.tls\.cert is missing: web\.tls\.ca is given/],
    [{ clientCertificates: true }, /web\.tls\.cert is missing/],
    [{ cert: PEM, key: PEM, clientCertificates: true }, /web\.tls\.ca is missing/],
  ])('%j is refused', (tls, message) => {
    expect(() => resolve({ web: { tls } })).toThrow(message)
  })

  test('an advertised http address is refused if the site uses https', () => {
    const tls = { cert: PEM, key: PEM }
    expect(() => resolve({ web: { tls, advertise: 'http://pod:6066' } })).toThrow(/web\.advertise begins with http:/)
    expect(resolve({ web: { tls, advertise: 'https://pod:6066' } }).web.advertise).toBe('https://pod:6066')
  })
})

test('the admin port differs from the public one, and is advertised to other workers', () => {
  const web = (given: object): ResolvedSettings['web'] => resolve({ web: given }).web
  expect(web({})).toMatchObject({ adminPort: undefined, adminHost: '127.0.0.1' })
  expect(web({ adminPort: 6067, host: '::1' })).toMatchObject({ adminPort: 6067, adminHost: '::1' })
  expect(web({ adminPort: 6067, advertise: 'pod:6067' })).toMatchObject({ advertise: 'pod:6067' })
  expect(() => web({ adminHost: '10.0.0.1' })).toThrow(/web\.adminPort is missing: web\.adminHost is '10\.0\.0\.1'/)
  expect(() => web({ adminPort: 6066 })).toThrow(/web\.adminPort is 6066, and so is web\.port/)
  expect(() => web({ adminPort: 6067, advertise: 'pod:6066' })).toThrow(/web\.advertise names web\.port.*name 6067/)
  expect(web({ adminPort: 0, port: 0 }).adminPort).toBe(0)
})

test('the limit on requests in flight defaults to half the connections and must be below them', () => {
  const web = (given: object): ResolvedSettings['web'] => resolveSettings({ argument: { id: 'a', web: given } }).web
  expect(web({}).maxRequests).toBe(500)
  expect(web({ maxConnections: 31 }).maxRequests).toBe(15)
  expect(web({ maxConnections: 10, maxRequests: 9 })).toMatchObject({ maxConnections: 10, maxRequests: 9 })
  expect(() => web({ maxConnections: 10, maxRequests: 10 })).toThrow(/web\.maxRequests is 10; .* web\.maxConnections/)
})

test('an address takes no credentials, a secret must be long enough, and peers must be valid', () => {
  expect(() => resolve({ web: { advertise: 'http://me:pw@a' } })).toThrow(refused('SETTING_INVALID', 'web.advertise'))
  expect(() => resolve({ web: { secret: 'fifteen letters' } })).toThrow(refused('SETTING_INVALID', 'web.secret', '16'))
  expect(() => resolve({ web: { token: 'x' } })).toThrow(refused('SETTING_INVALID', 'web.token', '16', 'openssl'))
  expect(() => resolve({}, { env: { MILLRACE_WEB_TOKEN: 'fifteen letters' } })).toThrow(
    refused('SETTING_INVALID', 'web.token'),
  )
  expect(resolve({ web: { token: 'sixteen letters.' } }).web.token).toBe('sixteen letters.')
  expect(() => resolve({ web: { peers: '10.0.0.0/40' } })).toThrow(
    refused('SETTING_INVALID', 'web.peers', '10.0.0.0/40'),
  )
  const { web } = resolve({ web: { advertise: 'a:80', secret: 'sixteen letters.', peers: '10.0.0.0/8, *.shop' } })
  expect(web).toMatchObject({ advertise: 'a:80', secret: 'sixteen letters.', peers: '10.0.0.0/8, *.shop' })
  expect(resolve({}, { env: { MILLRACE_WEB_SECRET: 'sixteen letters.' } }).web.secret).toBe('sixteen letters.')
})

test('defaults match the reference', () => {
  expect(resolve({})).toMatchObject({
    id: 'app',
    broker: 'embedded:',
    store: 'memory:',
    processingGuarantee: 'at-least-once',
    commitIntervalMs: 1000,
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 3000,
    topicPartitions: 8,
    replicationFactor: -1,
    repartitionPurgeIntervalMs: 30_000,
    maxRecordBytes: 1_048_576,
    maxBufferedBytes: 33_554_432,
    dataDirectory: undefined,
    kafka: { ssl: { enabled: false, rejectUnauthorized: true }, sasl: { mechanism: undefined } },
    web: {
      enabled: true,
      port: 6066,
      host: '127.0.0.1',
      admin: undefined,
      requestTimeoutMs: 30_000,
      bodyLimitBytes: 1_048_576,
    },
  })
})

test('the types of the arguments and of the result are exact', () => {
  expectTypeOf<AppSettings['commitInterval']>().toEqualTypeOf<
    number | `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d` | undefined
  >()
  expectTypeOf<AppSettings['processingGuarantee']>().toEqualTypeOf<'at-least-once' | 'exactly-once' | undefined>()
  expectTypeOf<AppSettings['id']>().toEqualTypeOf<string>()
  expectTypeOf<{
    id: string
    web: false
    kafka: { ssl: { ca: string }; sasl: { mechanism: 'plain' } }
  }>().toExtend<AppSettings>()
  expectTypeOf<{ id: string; kafka: { ssl: true } }>().toExtend<AppSettings>()
  expectTypeOf<{ id: string; kafka: true }>().not.toExtend<AppSettings>()
  expectTypeOf<{ web: { port: number } }>().not.toExtend<AppSettings>()
  expectTypeOf<{ id: string; web: { port: string } }>().not.toExtend<AppSettings>()
  expectTypeOf<ResolvedSettings['commitIntervalMs']>().toEqualTypeOf<number>()
  expectTypeOf<ResolvedSettings['cacheBytes']>().toEqualTypeOf<number>()
  expectTypeOf<ResolvedSettings['web']['bodyLimitBytes']>().toEqualTypeOf<number>()
  expectTypeOf<ResolvedSettings['web']['admin']>().toEqualTypeOf<boolean | undefined>()
  expectTypeOf<ResolvedSettings['kafka']['ssl']['enabled']>().toEqualTypeOf<boolean>()
  expectTypeOf<ResolvedSettings['kafka']['sasl']['mechanism']>().toEqualTypeOf<
    'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer' | undefined
  >()
  // @ts-expect-error there is no such setting
  const misspelt: AppSettings = { id: 'a', comitInterval: '1s' }
  expect(misspelt.id).toBe('a')
})

test('command line, then environment, then app file, then default', () => {
  const port = fc.integer({ min: 0, max: 65_535 })
  fc.assert(
    fc.property(
      fc.option(port, { nil: undefined }),
      fc.option(port, { nil: undefined }),
      fc.option(port, { nil: undefined }),
      (option, variable, given) => {
        const { web } = resolve(
          { web: { port: given } },
          {
            options: option === undefined ? {} : { 'web.port': String(option) },
            env: { MILLRACE_WEB_PORT: variable === undefined ? undefined : String(variable) },
          },
        )
        expect(web.port).toBe(option ?? variable ?? given ?? 6066)
      },
    ),
  )
})

describe('what depends on other settings', () => {
  test('the default commit interval is shorter under exactly once', () => {
    expect(resolve({ processingGuarantee: 'exactly-once' }).commitIntervalMs).toBe(100)
    expect(resolve({}, { env: { MILLRACE_PROCESSING_GUARANTEE: 'exactly-once' } }).commitIntervalMs).toBe(100)
    expect(resolve({ processingGuarantee: 'exactly-once', commitInterval: '2s' }).commitIntervalMs).toBe(2000)
  })

  test('the default heartbeat interval follows the session timeout', () => {
    expect(resolve({ sessionTimeout: '6s' }).heartbeatIntervalMs).toBe(2000)
    expect(() => resolve({ sessionTimeout: '2s', heartbeatInterval: '2s' })).toThrow(
      refused('SETTING_INVALID', 'sessionTimeout', 'heartbeatInterval'),
    )
  })

  test("the drain and commit of a rebalance must fit into the group's rebalance timeout", () => {
    expect(() => resolve({ drainTimeout: '45s', rebalanceTimeout: '60s' })).toThrow(
      refused(
        'SETTING_INVALID',
        'rebalanceTimeout is 60000 ms',
        '78000 ms',
        'heartbeatInterval',
        'drainTimeout',
        '96000 ms',
      ),
    )
    expect(() => resolve({ drainTimeout: '27001ms' })).toThrow(refused('SETTING_INVALID', 'rebalanceTimeout'))
    expect(resolve({ drainTimeout: '27s' }).drainTimeoutMs).toBe(27_000)
    expect(resolve({ drainTimeout: '45s', rebalanceTimeout: '96s' }).rebalanceTimeoutMs).toBe(96_000)
  })

  test('any TLS option turns TLS on', () => {
    expect(resolve({ kafka: { ssl: true } }).kafka.ssl.enabled).toBe(true)
    const ca = '-----BEGIN CERTIFICATE-----'
    expect(resolve({ kafka: { ssl: { ca } } }).kafka.ssl).toMatchObject({ enabled: true, ca })
    expect(resolve({ kafka: { ssl: { ca, enabled: false } } }).kafka.ssl.enabled).toBe(false)
  })

  test('the site listens on localhost only if the broker is on this machine', () => {
    expect(resolve({ broker: 'memory:' }).web.host).toBe('127.0.0.1')
    expect(resolve({ broker: 'embedded:./here' }).web.host).toBe('127.0.0.1')
    expect(resolve({ broker: 'kafka://h:1' }).web.host).toBe('0.0.0.0')
    expect(resolve({ broker: 'embedded:', web: { host: '0.0.0.0' } }).web.host).toBe('0.0.0.0')
  })

  test('SASL needs mechanism, user name and password together', () => {
    const token = async (): Promise<string> => 'token'
    expect(resolve({ kafka: { sasl: { mechanism: 'oauthbearer', token } } }).kafka.sasl.token).toBe(token)
    expect(() => resolve({ kafka: { sasl: { mechanism: 'plain', username: 'me' } } })).toThrow(
      refused('SETTING_INVALID', 'kafka.sasl.password is missing'),
    )
    expect(() => resolve({ kafka: { sasl: { username: 'me' } } })).toThrow(
      refused('SETTING_INVALID', 'without kafka.sasl.mechanism'),
    )
  })

  test('`false` for a group of settings disables it', () => {
    expect(resolve({ web: false }).web).toMatchObject({ enabled: false, port: 6066 })
    expect(() => resolve({ agent: false })).toThrow(
      refused('SETTING_INVALID', 'Setting agent is false; it takes an object'),
    )
    expect(() => resolve({ web: 'off' })).toThrow(
      refused('SETTING_INVALID', 'Setting web is off; it takes an object, true or false'),
    )
  })
})

describe('unknown settings name the nearest', () => {
  test.each([
    [{ comitInterval: '1s' }, 'comitInterval', 'commitInterval'],
    [{ web: { prot: 1 } }, 'web.prot', 'web.port'],
    [{ kafka: { ssl: { certt: '' } } }, 'kafka.ssl.certt', 'kafka.ssl.cert'],
  ])('%j', (argument, name, nearest) => {
    expect(() => resolve(argument)).toThrow(
      refused('SETTING_UNKNOWN', `Setting ${name} does not exist. Did you mean ${nearest}?`),
    )
  })

  test('also for settings of the command line', () => {
    expect(() => resolve({}, { options: { 'web.pot': '1' } })).toThrow(refused('SETTING_UNKNOWN', 'web.port'))
  })
})

describe('bad values name setting, source, value and what it takes', () => {
  test.each<[object, Partial<SettingSources>, readonly string[]]>([
    [{ commitInterval: 'soon' }, {}, ["Setting commitInterval is 'soon'; it takes milliseconds"]],
    [{ commitInterval: -1 }, {}, ['commitInterval is -1']],
    [{ processingGuarantee: 'once' }, {}, ["is 'once'; it takes one of 'at-least-once', 'exactly-once'"]],
    [{ topicPartitions: 0 }, {}, ['topicPartitions is 0; it takes a whole number from 1 to 100000']],
    [{ web: { port: '80' } }, {}, ["web.port is '80'"]],
    [{ web: { enabled: null } }, {}, ['web.enabled is null; it takes true or false']],
    [{}, { env: { MILLRACE_WEB_PORT: '8o' } }, ["web.port (MILLRACE_WEB_PORT) is '8o'"]],
    [{}, { options: { commitInterval: '1 fortnight' } }, ["commitInterval (--commit-interval) is '1 fortnight'"]],
    [{ id: 'a b' }, {}, ["id is 'a b'; it takes letters"]],
    [{ id: undefined }, {}, ['id is missing']],
    [
      { processingGuarantee: 'exactly-once', isolation: 'read-uncommitted' },
      {},
      ["isolation is 'read-uncommitted'", "processingGuarantee 'exactly-once'", "'read-committed'"],
    ],
    [{ store: 12 }, {}, ['store is 12']],
    [{ broker: ['localhost:9092'] }, {}, ['Setting broker is a list, ["localhost:9092"]; it takes a broker URL']],
    [{ kafka: { compression: 'brotli' } }, {}, ["kafka.compression is 'brotli'", "'gzip', 'snappy', 'lz4', 'zstd'"]],
    [{ kafka: { requestTimeout: '5ms' } }, {}, ["kafka.requestTimeout is '5ms'", "at least '1s' and at most '1h'"]],
    [{ kafka: { maxFetchBytes: 0 } }, {}, ['kafka.maxFetchBytes is 0', "at least '1b' and at most '1gb'"]],
    [
      { kafka: { requestTimeout: '1s', maxFetchWait: '2s' } },
      {},
      ['kafka.requestTimeout is 1000 ms', 'longer than kafka.maxFetchWait, which is 2000 ms'],
    ],
    [{ broker: { url: 'kafka://a' } }, {}, ['broker is an object; it takes a broker URL']],
    [{ commitInterval: () => 1 }, {}, ['commitInterval is a function; it takes milliseconds']],
    [{ web: ['localhost'] }, {}, ['Setting web is a list; it takes an object, true or false']],
  ])('%j %j', (argument, sources, parts) => {
    expect(() => resolve(argument, sources)).toThrow(refused('SETTING_INVALID', ...parts))
  })

  test('the error for a bad URL says what is wrong with it', () => {
    expect(() => resolve({ broker: 'kafak://a' })).toThrow(refused('BROKER_URL_INVALID', "did you mean 'kafka'?"))
    expect(() => resolve({}, { env: { MILLRACE_STORE: 'lmbd:' } })).toThrow(
      refused('STORE_URL_INVALID', "did you mean 'lmdb'?"),
    )
  })

  test('an argument that is not an object of settings is refused', () => {
    for (const argument of ['shop', null, undefined, [{ id: 'shop' }]])
      expect(() => Reflect.apply(resolveSettings, undefined, [{ argument }])).toThrow(
        refused('SETTING_INVALID', "createApp({ id: 'word-counts' })"),
      )
  })

  test('secrets are not shown', () => {
    expect(() => resolve({ broker: ['kafka://me:s3cret@a', 'b'] })).toThrow(
      refused('SETTING_INVALID', 'broker is a list, ***@a","b"]; it takes a broker URL'),
    )
    expect(() => resolve({ kafka: { sasl: { mechanism: 'plain', username: 'me', password: 12345 } } })).toThrow(
      refused('SETTING_INVALID', 'kafka.sasl.password is of another kind; it takes text'),
    )
  })
})

test('text is read by the type of the setting', () => {
  const settings = resolve(
    {},
    {
      env: {
        MILLRACE_WEB_ENABLED: 'no',
        MILLRACE_MAX_BUFFERED_BYTES: '1mb',
        MILLRACE_COMMIT_INTERVAL: '250',
        MILLRACE_REPLICATION_FACTOR: ' 3 ',
        MILLRACE_KAFKA_SSL_ENABLED: '1',
      },
    },
  )
  expect(settings).toMatchObject({
    commitIntervalMs: 250,
    maxBufferedBytes: 1_048_576,
    replicationFactor: 3,
    web: { enabled: false },
    kafka: { ssl: { enabled: true } },
  })
})

test.each(['', ' ', '\t\n'])('a blank variable (%j) is refused by name', (blank) => {
  const blankBroker = { env: { MILLRACE_BROKER: blank } }
  expect(() => resolve({}, blankBroker)).toThrow(refused('SETTING_INVALID', 'MILLRACE_BROKER', 'blank', 'unset it'))
  expect(resolve({}, { env: { MILLRACE_BROKER: undefined } }).broker).toBe('embedded:')
})

describe('files', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
  const directory = mkdtempSync(join(tmpdir(), 'millrace-settings-'))
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  afterAll(() => rmSync(directory, { recursive: true }))
  const sasl = { kafka: { sasl: { mechanism: 'plain', username: 'u' } } }

  test('a secret is read from the file named by its variable', () => {
    const env = { MILLRACE_KAFKA_SASL_PASSWORD_FILE: file('password', 's3cret\n') }
    expect(resolve(sasl, { env }).kafka.sasl.password).toBe('s3cret')
  })

  test('a file that is missing, blank, or given together with the value is refused without showing the value', () => {
    const name = 'MILLRACE_KAFKA_SASL_PASSWORD_FILE'
    const missing = join(directory, 'gone')
    expect(() => resolve(sasl, { env: { [name]: missing } })).toThrow(refused('SETTING_INVALID', 'gone', name))
    expect(() => resolve(sasl, { env: { [name]: file('blank', '\n') } })).toThrow(
      refused('SETTING_INVALID', name, 'is blank'),
    )
    const both = { MILLRACE_KAFKA_SASL_PASSWORD: 'hidden', [name]: file('both', 'hidden too') }
    expect(() => resolve(sasl, { env: both })).toThrow(refused('SETTING_INVALID', 'Both', 'unset one'))
    expect(() => resolve(sasl, { env: both })).not.toThrow(/hidden/)
  })

  test('only secrets have such a variable; for other settings it counts as misspelt', () => {
    const env = { MILLRACE_BROKER_FILE: file('broker', 'kafka://h:1') }
    expect(resolve({}, { env }).broker).toBe('embedded:')
    expect(unknownEnvironment(env)).toEqual([{ variable: 'MILLRACE_BROKER_FILE', nearest: expect.anything() }])
  })

  test('a certificate may be text or the path of a file', () => {
    const path = file('ca.pem', PEM)
    expect(resolve({ kafka: { ssl: { ca: path } } }).kafka.ssl).toMatchObject({ ca: PEM, enabled: true })
    expect(resolve({ kafka: { ssl: { ca: PEM } } }).kafka.ssl.ca).toBe(PEM)
    expect(() => resolve({ kafka: { ssl: { ca: join(directory, 'gone.pem') } } })).toThrow(
      refused('SETTING_INVALID', 'gone.pem', 'kafka.ssl.ca'),
    )
    expect(() => resolve({ kafka: { ssl: { ca: file('no.pem', 'hello') } } })).toThrow(
      refused('SETTING_INVALID', 'no.pem', 'kafka.ssl.ca', 'no PEM'),
    )
    expect(() => resolve({ kafka: { ssl: { key: 'MIIEvQIBADAN' } } })).toThrow(
      refused('SETTING_INVALID', 'kafka.ssl.key'),
    )
    expect(() => resolve({ kafka: { ssl: { key: 'MIIEvQIBADAN' } } })).not.toThrow(/MIIE/)
  })
})

describe('in production', () => {
  const require = (env: Readonly<Record<string, string>>, argument: object = {}, options = {}): void =>
    requireProductionSettings({ env, options, argument: { id: 'app', ...argument } })
  const NODE_ENV = 'production'

  test('a broker must be given', () => {
    expect(() => require({ NODE_ENV })).toThrow(refused('BROKER_UNSET', 'production'))
    require({ NODE_ENV: 'development' })
    require({ NODE_ENV, MILLRACE_BROKER: 'kafka://h:1' })
    require({ NODE_ENV }, { broker: 'embedded:' })
    require({ NODE_ENV }, {}, { broker: 'embedded:' })
  })

  test('a variable that is probably misspelt is refused with the nearest name', () => {
    expect(() => require({ NODE_ENV, MILLRACE_BROKR: 'kafka://h:1' })).toThrow(
      refused('SETTING_UNKNOWN', 'MILLRACE_BROKR', 'Did you mean MILLRACE_BROKER?'),
    )
    require({ NODE_ENV, MILLRACE_BROKER: 'kafka://h:1', MILLRACE_APP: 'app.ts' })
  })

  test('variables that Kubernetes sets for a service called millrace are ignored', () => {
    const port = 'tcp://10.0.0.1:6066'
    const links = { MILLRACE_PORT: port, MILLRACE_PORT_6066_TCP_ADDR: '10.0.0.1', MILLRACE_SERVICE_HOST: '10.0.0.1' }
    require({ NODE_ENV, MILLRACE_BROKER: 'kafka://h:1', MILLRACE_WEB_SERVICE_PORT_HTTP: '80', ...links })
  })
})
