import type { ContextManager } from '@opentelemetry/api'
import { type Sensor, silentSensor, type Tracing } from '@millrace/core'
import { OtelTracing } from './otel-tracing.ts'

/** A sensor that creates OpenTelemetry spans. */
export interface OtelSensor extends Sensor {
  readonly tracing: Tracing
  /**
   * For the SDK: makes an event's span active while its handler runs, so that spans of other libraries become its
   * children. Under another context manager, Millrace's own spans are still connected.
   */
  readonly contextManager: ContextManager
}

/**
 * Traces events, sends, asks, jobs and requests with the tracer registered with `@opentelemetry/api`. The W3C headers
 * of records and requests connect spans across workers. One sensor may serve several apps.
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
