/// <reference types="node" preserve="true" />
export { action, adminFor, isLocalBroker, type Admin } from './lib/built-in/admin.ts'
export { assignmentAnswer, knownMembers, type AssignmentAnswer } from './lib/built-in/assignment.ts'
export type { Graph, GraphEdge, GraphNode } from './lib/built-in/graph.ts'
export type { Readiness } from './lib/built-in/health.ts'
export type { BuiltInPage, BuiltInPages, SiteAddition, SiteTools } from './lib/built-in/site-tools.ts'
export { unavailable } from './lib/errors/error-answer.ts'
export { PageError, type PageErrorOptions } from './lib/errors/page-error.ts'
export { jsonText, type JsonObject } from './lib/pages/json-text.ts'
export type { AnswerOptions, PageAnswer, PageContext, PageHandler } from './lib/pages/page-context.ts'
export { View, type ViewClass, type ViewFactory, type ViewSource } from './lib/pages/view.ts'
export type { AnyParams, PathParams } from './lib/paths/path-params.ts'
export { Forwarder, type ForwardOptions } from './lib/routing/forwarder.ts'
export { groupRouter } from './lib/routing/group-router.ts'
export type { KeyHandler, ParamsWith } from './lib/routing/table-route.ts'
export { localUrl, ownAddress, type BoundAddress } from './lib/server/own-address.ts'
export { webPart, type WebPart, type WebPartDeps, type WebPartSettings } from './lib/server/web-part.ts'
export { createSite, type Site, type SiteOptions } from './lib/site/site.ts'
export { siteWorker, type SiteWorkerParts } from './lib/site/site-worker.ts'
export type {
  Flow,
  NodeKind,
  PartitionedTable,
  RoutableTable,
  SiteDeps,
  SiteSettings,
  SiteTable,
  TopicRecords,
  SiteWorker,
  WorkerHistograms,
} from './lib/site/site-deps.ts'
