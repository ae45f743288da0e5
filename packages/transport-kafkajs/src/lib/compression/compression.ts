import { gunzip, gunzipSync, gzipSync } from 'node:zlib'
import { MillraceError } from '@millrace/core'

/** Names as in Kafka's `compression.type`. */
export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Compresses and decompresses the record section of a batch, in the form Kafka expects (lz4: frames; snappy: raw blocks, framed by us). */
export interface CompressionCodec {
  compress(data: Buffer): Buffer
  /**
   * Synchronous. Returns `undefined` if the data would unpack to more than `maxBytes`, which is found before they are
   * allocated.
   */
  decompress(data: Buffer, maxBytes: number): Buffer | undefined
  /** The same off the event loop, for large data. */
  decompressAside(data: Buffer, maxBytes: number): Promise<Buffer | undefined>
}

/** The codecs that can be used in this process. */
export type CompressionCodecs = Readonly<Partial<Record<CompressionName, CompressionCodec>>>

const NAMES: readonly CompressionName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Packages that bring a codec when the user has installed them. */
export const CODEC_PACKAGES: Readonly<Record<'snappy' | 'lz4' | 'zstd', string>> = {
  snappy: 'snappy',
  lz4: 'lz4-napi',
  zstd: '@toondepauw/node-zstd',
}

export const gzipCodec: CompressionCodec = {
  compress: (data) => gzipSync(data),
  decompress: (data, maxBytes) => {
    try {
      return gunzipSync(data, { maxOutputLength: maxBytes })
    } catch (error) {
      if (isOverLimit(error)) return undefined
      throw error
    }
  },
  decompressAside: (data, maxBytes) =>
    new Promise((resolve, reject) => {
      gunzip(data, { maxOutputLength: maxBytes }, (error, result) => {
        if (error === null) resolve(result)
        else if (isOverLimit(error)) resolve(undefined)
        else reject(error)
      })
    }),
}

/** Recognizes zlib's error for `maxOutputLength`. */
function isOverLimit(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
}

/** How the records of a batch are compressed: the bits for its attributes, and the codec, `undefined` for none. */
export interface BatchCompression {
  readonly bits: number
  readonly codec: CompressionCodec | undefined
}

/** The bits of a batch's attributes that name its codec. */
export function compressionBits(name: CompressionName): number {
  return NAMES.indexOf(name)
}

/** Throws `COMPRESSION_MISSING`. */
export function batchCompression(name: CompressionName, codecs: CompressionCodecs): BatchCompression {
  return { bits: compressionBits(name), codec: name === 'none' ? undefined : requireCodec(name, codecs) }
}

/** The codec of a batch with these attributes; `undefined` for an uncompressed one. Throws `COMPRESSION_MISSING`. */
export function codecOfBatch(attributes: number, codecs: CompressionCodecs): CompressionCodec | undefined {
  const name = NAMES[attributes & 0x07]
  if (name === 'none') return undefined
  if (name === undefined)
    throw new MillraceError('COMPRESSION_MISSING', `A batch names compression ${attributes & 0x07}, which is unknown.`)
  return requireCodec(name, codecs)
}

/** The codec of that name, or `COMPRESSION_MISSING`, which names the package to install. */
export function requireCodec(name: Exclude<CompressionName, 'none'>, codecs: CompressionCodecs): CompressionCodec {
  const codec = codecs[name]
  if (codec !== undefined) return codec
  const how = name === 'gzip' ? 'It is part of Node.' : `Its package is "${CODEC_PACKAGES[name]}".`
  throw new MillraceError('COMPRESSION_MISSING', `The codec for ${name} is not installed. ${how}`)
}
