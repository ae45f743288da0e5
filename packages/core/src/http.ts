/// <reference types="node" preserve="true" />
export type {
  ServeAddress,
  ServeOptions,
  ServerTls,
  SiteTls,
  WebDriver,
  WebServer,
  WebServerLimits,
} from './contracts/web-driver.ts'
export { bodyStream, writeResponse } from './lib/http/bodies.ts'
export { commentText, eventText, idText, readEvents, retryText, type ServerEvent } from './lib/http/server-events.ts'
export { serveNodeHttp } from './lib/http/serve-node-http.ts'
export { certificateFault, checkSiteTls } from './lib/http/site-certificate.ts'
