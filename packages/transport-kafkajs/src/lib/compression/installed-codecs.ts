import * as zlib from 'node:zlib'
import { toError, type Logger } from '@millrace/core'
import { CODEC_PACKAGES, gzipCodec, type CompressionCodec, type CompressionCodecs } from './compression.ts'
import { snappyCodec } from './snappy-codec.ts'

const ZSTD_LEVEL = 3

/**
 * The codecs that can be used here: gzip always, zstd where Node has it (22.15 and later), the others when the user has
 * installed their packages. A package that is not there is no error before a batch needs it.
 */
export async function installedCodecs(log: Logger): Promise<CompressionCodecs> {
  const nodeZstd = functionsOf(zlib, ['zstdCompressSync', 'zstdDecompressSync'])
  const [snappy, lz4, zstd] = await Promise.all([
    load(CODEC_PACKAGES.snappy, log, (found) => functionsOf(found, ['compressSync', 'uncompressSync'])),
    load(CODEC_PACKAGES.lz4, log, (found) => functionsOf(found, ['compressFrameSync', 'decompressFrameSync'])),
    nodeZstd ?? load(CODEC_PACKAGES.zstd, log, zstdClasses),
  ])
  return {
    gzip: gzipCodec,
    ...(snappy === undefined ? {} : { snappy: snappyCodec(snappy) }),
    ...(lz4 === undefined ? {} : { lz4 }),
    ...(zstd === undefined ? {} : { zstd }),
  }
}

async function load(
  name: string,
  log: Logger,
  pick: (found: unknown) => CompressionCodec | undefined,
): Promise<CompressionCodec | undefined> {
  try {
    const found: unknown = await import(name)
    return pick(found) ?? pick(member(found, 'default'))
  } catch (error) {
    log.debug({ package: name, error: toError(error).message }, 'A compression codec is not installed.')
    return undefined
  }
}

function functionsOf(found: unknown, [compress, decompress]: readonly [string, string]): CompressionCodec | undefined {
  const [pack, unpack] = [member(found, compress), member(found, decompress)]
  if (typeof pack !== 'function' || typeof unpack !== 'function') return undefined
  return { compress: (data) => bytes(pack(data)), decompress: (data) => bytes(unpack(data)) }
}

function zstdClasses(found: unknown): CompressionCodec | undefined {
  const [encoder, decoder] = [member(found, 'Encoder'), member(found, 'Decoder')]
  if (typeof encoder !== 'function' || typeof decoder !== 'function') return undefined
  return {
    compress: (data) => bytes(call(Reflect.construct(encoder, [ZSTD_LEVEL]), 'encodeSync', data)),
    decompress: (data) => bytes(call(Reflect.construct(decoder, []), 'decodeSync', data)),
  }
}

function call(object: unknown, method: string, data: Buffer): unknown {
  const found = member(object, method)
  return typeof found === 'function' ? found.call(object, data) : undefined
}

function member(of: unknown, name: string): unknown {
  return (typeof of === 'object' && of !== null) || typeof of === 'function' ? Reflect.get(of, name) : undefined
}

function bytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw new TypeError('A compression package gave no bytes.')
}
