/** Settings of the connections to Kafka, as in `settingDeclarations`. */
export const kafkaDeclarations = {
  'kafka.ssl.enabled': {
    type: 'flag',
    option: 'kafka-ssl',
    derived: 'true when another setting of kafka.ssl is given',
    help: 'Connect with TLS. In the app file also kafka: { ssl: true }.',
  },
  'kafka.ssl.ca': {
    type: 'pem',
    help: 'Certificates (PEM, or the path of a file) of the authorities that the broker may be signed by.',
  },
  'kafka.ssl.cert': { type: 'pem', help: 'Certificate (PEM, or the path of a file) of this client.' },
  'kafka.ssl.key': { type: 'pem', secret: true, help: 'Private key (PEM, or the path of a file) of that certificate.' },
  'kafka.ssl.passphrase': { type: 'text', secret: true, help: 'Passphrase of the private key.' },
  'kafka.ssl.servername': {
    type: 'text',
    help: "Name that the broker's certificate must have, if it is not the host's.",
  },
  'kafka.ssl.rejectUnauthorized': {
    type: 'flag',
    default: true,
    help: 'Refuse brokers whose certificate cannot be verified.',
  },
  'kafka.sasl.mechanism': {
    type: 'choice',
    choices: ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
    help: 'How to authenticate; unset for not at all.',
  },
  'kafka.sasl.username': { type: 'text', help: 'User for plain and scram.' },
  'kafka.sasl.password': { type: 'text', secret: true, help: 'Password for plain and scram.' },
  'kafka.sasl.token': {
    type: 'token',
    help: 'Function that returns a bearer token, for oauthbearer; called for each connection.',
  },

  'kafka.compression': {
    type: 'choice',
    choices: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    default: 'none',
    help: 'Compression of the batches that are sent. gzip is part of Node.js, zstd from 22.15 on; the others need a package, which the error names if it is missing. Batches that are read may have any compression.',
  },
  'kafka.connectionTimeout': {
    type: 'duration',
    least: 1,
    most: 3_600_000,
    default: '5s',
    help: 'Longest wait for a TCP or TLS connection to a broker; attempts are repeated until connectTimeout.',
  },
  'kafka.requestTimeout': {
    type: 'duration',
    least: 1_000,
    most: 3_600_000,
    default: '30s',
    help: 'After this time a request without an answer counts as lost, with its connection, and is sent again.',
  },
  'kafka.maxFetchBytes': {
    type: 'size',
    least: 1,
    most: 1_073_741_824,
    default: '4mb',
    help: 'The most bytes of one fetch over all partitions of a broker; the first batch comes whole even if it is larger.',
  },
  'kafka.maxFetchWait': {
    type: 'duration',
    least: 1,
    most: 10_000,
    default: '100ms',
    help: 'Longest wait of the broker for a first byte if there is nothing to read. A longer wait saves requests, but delays reading of partitions that a worker gains.',
  },
  'kafka.maxRequestBytes': {
    type: 'size',
    least: 1,
    most: 1_073_741_824,
    default: '4mb',
    help: "The most bytes of one produce request, over all partitions; at most the broker's socket.request.max.bytes.",
  },
  'kafka.maxBatchBytes': {
    type: 'size',
    least: 1,
    most: 1_073_741_824,
    default: 900_000,
    help: "The most bytes of one partition's batch before compression; a larger record goes alone. At most the topic's max.message.bytes, which is 1 MB unless it was set.",
  },
} as const

/** Settings of the web site of each worker. */
export const webDeclarations = {
  'web.enabled': {
    type: 'flag',
    option: 'web',
    default: true,
    help: 'Serve pages. In the app file also web: false; --no-web on the command line.',
  },
  'web.port': {
    type: 'integer',
    least: 0,
    most: 65_535,
    aliases: ['p'],
    default: 6066,
    help: 'Port to listen on; 0 uses any free one.',
  },
  'web.host': {
    type: 'text',
    derived: '127.0.0.1 with the embedded broker, 0.0.0.0 otherwise',
    help: 'Address to listen on.',
  },
  'web.adminPort': {
    type: 'integer',
    least: 0,
    most: 65_535,
    help: 'Port of a second listener, for operators and other workers: it has all pages, and the one at web.port only those of the app and /health/…. 0 uses any free one.',
  },
  'web.adminHost': { type: 'text', derived: 'web.host', help: 'Address that web.adminPort listens on.' },
  'web.processPort': {
    type: 'integer',
    least: 0,
    most: 65_535,
    default: 0,
    help: 'Port at which other workers reach the first of several processes (setting processes); the second has the next one, and so on. 0 uses any free ones.',
  },
  'web.advertise': {
    type: 'text',
    help: 'Host and port at which other workers reach this one (web.adminPort, if it is set); the first non-internal IPv4 address and the bound port when unset.',
  },
  'web.tls.cert': {
    type: 'pemFile',
    help: 'Certificate of the site, with those between it and its authority (PEM, or the path of a file, which is read again every minute). With it the site is served over https.',
  },
  'web.tls.key': {
    type: 'pemFile',
    secret: true,
    help: 'Private key (PEM, or the path of a file) of that certificate.',
  },
  'web.tls.passphrase': { type: 'text', secret: true, help: 'Passphrase of the private key.' },
  'web.tls.ca': {
    type: 'pemFile',
    help: 'Certificates (PEM, or the path of a file) of the authorities that certificates of other workers may be signed by, beside those that Node.js knows; with web.tls.clientCertificates those of clients, too.',
  },
  'web.tls.servername': {
    type: 'text',
    help: 'Name that the certificates of other workers must have, if it is not the host at which they are reached; for example one certificate for pods that are reached by their addresses.',
  },
  'web.tls.clientCertificates': {
    type: 'flag',
    default: false,
    help: 'Accept only clients with a certificate signed by web.tls.ca; workers use web.tls.cert among themselves. Probes need one as well.',
  },
  'web.token': {
    type: 'text',
    secret: true,
    help: 'Token that built-in pages with data, and actions on them, require, as a bearer token or in a form; 16 characters or more. Without it they answer only this machine. The same on all workers of the app.',
  },
  'web.secret': {
    type: 'text',
    secret: true,
    help: 'Secret with which workers sign requests to one another, 16 characters or more; the same on all workers of the app. If unset, the group makes one, which anybody who may join the group can read.',
  },
  'web.peers': {
    type: 'text',
    help: 'Allowed addresses of other workers, separated by commas: ranges (10.0.0.0/8), addresses, host names (*.shop-headless for all below it). Requests go nowhere else. Unset: anywhere but to link-local, multicast and metadata addresses, and to the loopback only from workers that are on it themselves.',
  },
  'web.hosts': {
    type: 'text',
    help: 'Names under which browsers reach the site, separated by commas: actions from pages under names other than these and localhost are refused.',
  },
  'web.builtIn': {
    type: 'flag',
    default: true,
    help: 'Serve the built-in pages with data. Without them only the pages of the app, health and metrics are served.',
  },
  'web.openMetrics': {
    type: 'flag',
    default: true,
    help: 'Show /metrics to everybody; otherwise it requires web.token, too.',
  },
  'web.admin': {
    type: 'flag',
    help: 'Allow actions on the pages to everybody who may see them; on unless false.',
  },
  'web.readyGrace': {
    type: 'duration',
    default: '15s',
    help: 'How long a ready worker stays ready through a rebalance with its recoveries, an expired lease, and unreachable brokers. If it is too short, a rebalance takes all workers out of a service at once.',
  },
  'web.requestTimeout': { type: 'duration', default: '30s', help: 'How long a page may take.' },
  'web.routeTimeout': {
    type: 'duration',
    default: '10s',
    help: 'How long a request that was forwarded to another worker may take.',
  },
  'web.bodyLimit': { type: 'size', default: '1mb', help: 'Largest request body.' },
  'web.maxConnections': {
    type: 'integer',
    least: 2,
    most: 100_000,
    default: 1_000,
    help: 'The most connections at the same time. A further one closes the longest idle connection, or otherwise one whose client does not read its answer.',
  },
  'web.maxRequests': {
    type: 'integer',
    least: 1,
    most: 99_999,
    derived: 'half of web.maxConnections',
    help: 'The most requests in flight; a further one is answered 503 with Retry-After. /health/… and /metrics do not count.',
  },
  'web.maxWatches': {
    type: 'integer',
    least: 0,
    most: 99_999,
    derived: 'a quarter of web.maxConnections',
    help: 'The most watches of tables that clients have open; a further one is answered 503 with Retry-After. Each takes a connection. 0 allows none.',
  },
  'web.cors': {
    type: 'text',
    help: "Origins whose pages may read the pages of the app, separated by commas, or '*'; none if unset. No other origin may read the built-in pages.",
  },
  'web.driver': { type: 'webDriver', default: 'hono', help: 'The server under the site.' },
} as const
