import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:http'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { routeProcesses } from '../fixtures/route-processes.fixture.ts'
import { NO_TLS, smallGroup, smallSite } from '../fixtures/small-site.fixture.ts'
import { Certificates } from './certificates.ts'
import { Forwarder } from './forwarder.ts'
import { AddressRefused, PeerAddresses } from './peer-addresses.ts'

const { start, listen, stop } = routeProcesses()
afterEach(stop)

interface Here {
  readonly peers?: string
  /** Of this worker. */
  readonly own?: string
  readonly resolve?: (hostname: string) => readonly LookupAddress[]
}

function addresses({ peers, own = '10.0.0.1:6066', resolve }: Here = {}): PeerAddresses {
  const { deps } = smallSite({ settings: { peers } })
  return new PeerAddresses({
    site: deps,
    workers: { all: () => [{ address: () => own }] },
    ...(resolve === undefined ? {} : { resolve: (hostname, _, done) => done(null, resolve(hostname)) }),
  })
}

const refuses = (guard: PeerAddresses, address: string): boolean => guard.refusal(address) !== undefined

const FORBIDDEN = [
  '169.254.169.254',
  'http://169.254.169.254/latest/meta-data/',
  '169.254.0.1:80',
  // The same address, in the forms that URLs accept.
  'http://2852039166',
  'http://0xa9fea9fe:80',
  'http://0251.0376.0251.0376',
  'http://[::ffff:169.254.169.254]',
  'http://[::ffff:a9fe:a9fe]',
  // IPv6 addresses that translators and tunnels map to it.
  'http://[64:ff9b::169.254.169.254]',
  'http://[64:ff9b::7f00:1]',
  'http://[::169.254.169.254]',
  'http://[::a9fe:a9fe]:80',
  'http://[::ffff:0:169.254.169.254]',
  'http://[2002:a9fe:a9fe::1]',
  'http://[2002:7f00:1::]',
  'http://[2001:0:a9fe:a9fe::1]',
  'http://[2001:0:808:808::5601:5601]',
  'http://[fd00::5efe:169.254.169.254]',
  'http://[fd00::200:5efe:127.0.0.1]',
  'http://[64:ff9b:1::169.254.169.254]',
  'http://[64:ff9b:1:a9fe:a9:fe00::]',
  'http://[64:ff9b:1:a9:fe:a9fe::]',
  'http://[64:ff9b:1:0:a9:fea9:fe00:0]',
  '[fe80::1]:6066',
  '[fd00:ec2::254]:80',
  '100.100.100.200',
  '168.63.129.16:80',
  '0.0.0.0:6066',
  '[::]:6066',
  '224.0.0.1:6066',
  '255.255.255.255',
  '[ff02::1]:6066',
  '127.0.0.1:6066',
  '127.1:22',
  '[::1]:6066',
  'ftp://10.0.0.7:6066',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'http://me:secret@10.0.0.7:6066',
  'me@10.0.0.7:6066',
  '10.0.0.7:port',
  'http://',
  '',
]

test.each(FORBIDDEN)('sends nothing to %j', (address) => {
  expect(refuses(addresses(), address)).toBe(true)
})

test.each([
  '10.0.0.7:6066',
  'https://outside.example',
  'shop-1.shop:80',
  '[fd12::7]:6066',
  '[64:ff9b::10.0.0.7]:6066',
  '[2001:db8::a9fe:a9fe]:6066',
  '192.168.0.9:6066',
  '8.8.8.8:1',
])('%j may be a worker', (address) => {
  expect(refuses(addresses(), address)).toBe(false)
})

test('the loopback is only for workers that use it themselves', () => {
  for (const own of ['127.0.0.1:6066', '[::1]:6066', 'localhost:6066', 'http://127.0.0.1:1'])
    for (const address of ['127.0.0.1:7000', '[::1]:7000']) expect(refuses(addresses({ own }), address)).toBe(false)
  expect(refuses(addresses({ own: '127.0.0.1:6066' }), '169.254.169.254')).toBe(true)
})

test('web.peers allows addresses of workers, but never a metadata service', () => {
  const guard = addresses({ peers: '10.0.0.0/8, 169.254.0.0/16, fe80::/10, 127.0.0.1' })
  for (const address of ['10.0.0.7:1', '169.254.3.4:1', '[fe80::1]:1', '127.0.0.1:1'])
    expect([address, refuses(guard, address)]).toEqual([address, false])
  for (const address of ['11.0.0.7:1', '169.254.169.254', '[::1]:1', '0.0.0.0'])
    expect([address, refuses(guard, address)]).toEqual([address, true])
})

test('every notation of a forbidden address is refused', () => {
  const octet = fc.nat({ max: 255 })
  const forbidden = fc.oneof(
    fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
    fc.tuple(fc.constant(127), octet, octet, octet),
    fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet),
    fc.tuple(fc.constant(0), octet, octet, octet),
  )
  const written = fc.constantFrom(
    (parts: readonly number[]) => parts.join('.'),
    (parts: readonly number[]) => parts.map((part) => `0x${part.toString(16)}`).join('.'),
    (parts: readonly number[]) => String(parts.reduce((sum, part) => sum * 256 + part, 0)),
    (parts: readonly number[]) => `[::ffff:${parts.join('.')}]`,
    (parts: readonly number[]) => `[::ffff:0:${parts.join('.')}]`,
    (parts: readonly number[]) => `[::${parts.join('.')}]`,
    (parts: readonly number[]) => `[64:ff9b::${parts.join('.')}]`,
    (parts: readonly number[]) => `[64:ff9b:1::${parts.join('.')}]`,
    (parts: readonly number[]) => `[2002:${hex(parts)}::7]`,
    (parts: readonly number[]) => `[2001:0:808:808:1:2:${hex(parts.map((part) => part ^ 0xff))}]`,
    (parts: readonly number[]) => `[fd12::5efe:${parts.join('.')}]`,
  )
  const guard = addresses()
  fc.assert(
    fc.property(forbidden, written, fc.constantFrom('', 'http://', 'https://'), (parts, write, scheme) => {
      expect(refuses(guard, `${scheme}${write(parts)}:6066`)).toBe(true)
    }),
  )
})

/** Two groups of an IPv6 address. */
function hex(parts: readonly number[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = parts
  return [a * 256 + b, c * 256 + d].map((group) => group.toString(16)).join(':')
}

test('a name’s addresses are checked on connection, so the checked address is the one connected to', async () => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers.host ?? '')
    response.end('here')
  })
  const port = (await listen(server)).split(':')[1] ?? ''
  const answers: (readonly string[])[] = [
    ['127.0.0.1'],
    ['127.0.0.2'],
    ['169.254.169.254', '127.0.0.1'],
    ['169.254.1.1'],
  ]
  const guard = addresses({
    peers: '127.0.0.1',
    resolve: () => (answers.shift() ?? []).map((address) => ({ address, family: 4 })),
  })
  const { clock } = smallSite()
  const ask = async (): Promise<string> => {
    const forwarder = new Forwarder(clock, { addresses: guard, certificates: new Certificates(() => NO_TLS) })
    try {
      const answer = await forwarder.forward({
        address: `shop-1.example:${port}`,
        request: new Request('http://a/'),
        signal: new AbortController().signal,
        limitMs: 5_000,
        headers: new Headers(),
      })
      return await answer.text()
    } finally {
      await forwarder.close(1_000)
    }
  }
  expect(await ask()).toBe('here')
  // The name now resolves to another address.
  await expect(ask()).rejects.toThrow(/shop-1\.example is at 127\.0\.0\.2, which is not in web\.peers/)
  // Of several addresses, the permitted ones.
  expect(await ask()).toBe('here')
  await expect(ask()).rejects.toBeInstanceOf(AddressRefused)
  expect(asked).toHaveLength(2)
  // A name listed itself may resolve to any address except one that is never a worker's.
  const named = addresses({ peers: '*.example', resolve: () => [{ address: '169.254.169.254', family: 4 }] })
  const failed = new Promise((resolve) => named.lookup('shop-1.example', {}, (error) => resolve(error)))
  expect(await failed).toBeInstanceOf(AddressRefused)
})

test('a member with a forbidden address gives an error that names it and the setting, and one log line', async () => {
  const group = smallGroup(1)
  const one = await start(group, 'one', [], { token: 'token' })
  for (const address of ['http://me:secret@169.254.169.254', '169.254.169.254:80']) {
    group.owners.set(0, { member: 'forger', address })
    for (let times = 0; times < 3; times++) {
      const answer = await fetch(`${one.url}/words/x/`, { headers: { cookie: 'session=of-the-app' } })
      expect(answer.status).toBe(502)
      const { error } = JSON.parse(await answer.text())
      expect(error).toMatch(/"forger": .*169\.254\.169\.254.*web\.peers/)
      expect(error).not.toContain('secret')
    }
  }
  const lines = one.logged.filter(({ message }) => message.includes('Nothing is sent'))
  expect(lines.map(({ fields }) => fields)).toMatchObject([{ member: 'forger' }, { member: 'forger' }])
  expect(JSON.stringify(one.logged)).not.toContain('secret')
})

test('a worker warns at its start if others would refuse its address', () => {
  const small = smallSite({ settings: { peers: '10.0.0.0/8' } })
  for (const [address, lines] of [
    ['10.1.2.3:6066', 0],
    ['192.168.0.7:6066', 1],
  ] as const) {
    small.worker.listensAt = address
    small.site.watch(small.worker)
    expect(small.logged.filter(({ message }) => message.includes('web.peers'))).toHaveLength(lines)
  }
})
