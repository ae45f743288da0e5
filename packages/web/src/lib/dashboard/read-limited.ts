/** The text of an answer, which must not be longer than `limit` bytes. */
export async function readLimited(response: Response, limit: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > limit) throw new Error(`It answered more than ${limit} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
