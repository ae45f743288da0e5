/** The certificates of a test's server and its clients; all in PEM. */
export interface TestCertificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/**
 * A new authority, and a certificate of it for servers and clients of this machine.
 *
 * @param names further names in the certificate, besides `localhost`, 127.0.0.1 and ::1
 */
export async function testCertificates(names: readonly string[] = []): Promise<TestCertificates> {
  // Imported only here, because it takes a tenth of a second and few tests need it.
  const { generate } = await import('selfsigned')
  const of = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const
  const authority = await generate([{ name: 'commonName', value: 'Authority of a test' }], {
    ...of,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  })
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'Server of a test' }], {
    ...of,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          ...['localhost', ...names].map((value) => ({ type: 2, value }) as const),
          ...['127.0.0.1', '::1'].map((ip) => ({ type: 7, ip }) as const),
        ],
      },
    ],
  })
  return { ca: authority.cert, cert, key }
}
