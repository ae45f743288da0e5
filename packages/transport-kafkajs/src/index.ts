/// <reference types="node" preserve="true" />
export type { CompressionName } from './lib/compression/compression.ts'
export type { KafkaSasl, KafkaTransportOptions } from './lib/kafka-transport-options.ts'
export { createKafkaTransport, transportOfSettings } from './lib/kafka-transport.ts'
