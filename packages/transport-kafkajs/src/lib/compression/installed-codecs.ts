import * as zlib from 'node:zlib'
import { toError, type Logger } from '@millrace/core'
import { CODEC_PACKAGES, gzipCodec, type CompressionCodec, type CompressionCodecs } from './compression.ts'
import { snappyCodec } from './snappy-codec.ts'
import { lz4Size, snappySize, type UnpackedSize, zstdSize } from './unpacked-size.ts'

const ZSTD_LEVEL = 3

/** A codec as a package offers it, without a limit on what it unpacks. */
export interface BareCodec {
  readonly compress: (data: Buffer) => unknown
  readonly decompress: (data: Buffer) => unknown
  /** Decompresses in a thread of the package. */
  readonly decompressAside: (data: Buffer) => unknown
}

/**
 * The codecs that can be used here: gzip always, zstd if Node has it (22.15 and later), the others if the user has
 * installed their packages. A missing package is an error only when a batch needs it.
 */
export async function installedCodecs(log: Logger): Promise<CompressionCodecs> {
  const nodeZstd = functionsOf(zlib, ['zstdCompressSync', 'zstdDecompressSync'])
  const [snappy, lz4, zstd] = await Promise.all([
    load(CODEC_PACKAGES.snappy, log, (found) => functionsOf(found, ['compressSync', 'uncompressSync', 'uncompress'])),
    load(CODEC_PACKAGES.lz4, log, (found) =>
      functionsOf(found, ['compressFrameSync', 'decompressFrameSync', 'decompressFrame']),
    ),
    nodeZstd ?? load(CODEC_PACKAGES.zstd, log, zstdClasses),
  ])
  return {
    gzip: gzipCodec,
    ...(snappy === undefined ? {} : { snappy: snappyCodec(boundedCodec(snappy, snappySize)) }),
    ...(lz4 === undefined ? {} : { lz4: boundedCodec(lz4, lz4Size) }),
    ...(zstd === undefined ? {} : { zstd: boundedCodec(zstd, zstdSize) }),
  }
}

/** Unpacks only data whose frames show a size within the limit. */
export function boundedCodec(bare: BareCodec, sizeOf: UnpackedSize): CompressionCodec {
  const fits = (data: Buffer, maxBytes: number): boolean => {
    const size = sizeOf(data)
    if (size === undefined) throw new TypeError('The compressed data does not have the frame format of its codec.')
    return size <= maxBytes
  }
  return {
    compress: (data) => bytes(bare.compress(data)),
    decompress: (data, maxBytes) => (fits(data, maxBytes) ? bytes(bare.decompress(data)) : undefined),
    decompressAside: async (data, maxBytes) =>
      fits(data, maxBytes) ? bytes(await bare.decompressAside(data)) : undefined,
  }
}

async function load(
  name: string,
  log: Logger,
  pick: (found: unknown) => BareCodec | undefined,
): Promise<BareCodec | undefined> {
  try {
    const found: unknown = await import(name)
    return pick(found) ?? pick(member(found, 'default'))
  } catch (error) {
    log.debug({ package: name, error: toError(error).message }, 'A compression codec is not installed.')
    return undefined
  }
}

/** Names of the functions that compress, decompress, and decompress with a promise, if there is one. */
function functionsOf(
  found: unknown,
  [compress, decompress, aside]: readonly [string, string, string?],
): BareCodec | undefined {
  const [pack, unpack] = [member(found, compress), member(found, decompress)]
  if (typeof pack !== 'function' || typeof unpack !== 'function') return undefined
  const unpackAside = aside === undefined ? unpack : member(found, aside)
  return {
    compress: (data) => pack(data),
    decompress: (data) => unpack(data),
    decompressAside: (data) => (typeof unpackAside === 'function' ? unpackAside(data) : unpack(data)),
  }
}

function zstdClasses(found: unknown): BareCodec | undefined {
  const [encoder, decoder] = [member(found, 'Encoder'), member(found, 'Decoder')]
  if (typeof encoder !== 'function' || typeof decoder !== 'function') return undefined
  return {
    compress: (data) => call(Reflect.construct(encoder, [ZSTD_LEVEL]), 'encodeSync', data),
    decompress: (data) => call(Reflect.construct(decoder, []), 'decodeSync', data),
    decompressAside: (data) => call(Reflect.construct(decoder, []), 'decode', data),
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
