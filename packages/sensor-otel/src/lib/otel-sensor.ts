import type { ContextManager } from '@opentelemetry/api'
import { type Sensor, silentSensor, type Tracing } from '@millrace/core'
import { OtelTracing } from './otel-tracing.ts'

/** A sensor that makes OpenTelemetry spans. */
export interface OtelSensor extends Sensor {
  readonly tracing: Tracing
  /**
   * For the SDK: with it the span of an event is active while its handler runs, so that spans of other libraries are its
   * children. Under another context manager the spans of Millrace are connected all the same.
   */
  readonly contextManager: ContextManager
}

/**
 * Follows events, sends, asks, jobs and requests with spans of the tracer that is registered with `@opentelemetry/api`, across
 * workers by the W3C headers of records and requests. One may serve several apps.
 *
 * @example
 * const sensor = otelSensor()
 * new NodeSDK({ serviceName: 'shop', contextManager: sensor.contextManager }).start()
 * const app = createApp({ id: 'shop' }, { sensor })
 */
export function otelSensor(): OtelSensor {
  const tracing = new OtelTracing()
  return { ...silentSensor, tracing, contextManager: tracing.contextManager }
}
