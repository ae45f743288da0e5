import * as zlib from 'node:zlib'
import { toError, type Logger } from '@millrace/core'
import { CODEC_PACKAGES, gzipCodec, type CompressionCodec, type CompressionCodecs } from './compression.ts'
import { snappyCodec, type SnappyBlocks } from './snappy-codec.ts'

/**
 * The codecs that can be used here: gzip always, zstd where Node has it, the others when the user has installed their
 * packages. A package that is not there is no error before a batch needs it.
 */
export async function installedCodecs(log: Logger): Promise<CompressionCodecs> {
  const [snappy, lz4, zstd] = await Promise.all([
    load(CODEC_PACKAGES.snappy, ['compressSync', 'uncompressSync'], log),
    load(CODEC_PACKAGES.lz4, ['compressFrameSync', 'decompressFrameSync'], log),
    nodeZstd() ?? wasmZstd(log),
  ])
  return {
    gzip: gzipCodec,
    ...(snappy === undefined ? {} : { snappy: snappyCodec(blocksOf(snappy)) }),
    ...(lz4 === undefined ? {} : { lz4: codecOf(lz4, 'compressFrameSync', 'decompressFrameSync') }),
    ...(zstd === undefined ? {} : { zstd }),
  }
}

type Functions = Readonly<Record<string, (data: Buffer) => Uint8Array>>

async function wasmZstd(log: Logger): Promise<CompressionCodec | undefined> {
  const found = await load(CODEC_PACKAGES.zstd, ['compress', 'decompress'], log, 'init')
  return found === undefined ? undefined : codecOf(found, 'compress', 'decompress')
}

/** Node 22.15 and later bring zstd along. */
function nodeZstd(): CompressionCodec | undefined {
  const functions = pick(zlib, ['zstdCompressSync', 'zstdDecompressSync'])
  return functions === undefined ? undefined : codecOf(functions, 'zstdCompressSync', 'zstdDecompressSync')
}

async function load(name: string, functions: readonly string[], log: Logger, init?: string): Promise<Functions | undefined> {
  try {
    const found: unknown = await import(name)
    const module = pick(found, functions) === undefined && isObject(found) ? Reflect.get(found, 'default') : found
    const start = init !== undefined && isObject(module) ? Reflect.get(module, init) : undefined
    if (typeof start === 'function') await start()
    return pick(module, functions)
  } catch (error) {
    log.debug({ package: name, error: toError(error).message }, 'A compression codec is not installed.')
    return undefined
  }
}

function pick(module: unknown, names: readonly string[]): Functions | undefined {
  if (!isObject(module)) return undefined
  const functions: Record<string, (data: Buffer) => Uint8Array> = {}
  for (const name of names) {
    const found: unknown = Reflect.get(module, name)
    if (typeof found !== 'function') return undefined
    functions[name] = (data) => toBytes(found.call(module, data), name)
  }
  return functions
}

function codecOf(functions: Functions, compress: string, decompress: string): CompressionCodec {
  return {
    compress: (data) => asBuffer(functions[compress]?.(data) ?? data),
    decompress: (data) => asBuffer(functions[decompress]?.(data) ?? data),
  }
}

function blocksOf(functions: Functions): SnappyBlocks {
  const { compress, decompress } = codecOf(functions, 'compressSync', 'uncompressSync')
  return { compress, uncompress: decompress }
}

function toBytes(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new TypeError(`${name} of a compression package gave no bytes.`)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
