/// <reference types="node" preserve="true" />
export { type MeasuredApp, observeMetrics } from './lib/observe-metrics.ts'
export { otelSensor, type OtelSensor } from './lib/otel-sensor.ts'
