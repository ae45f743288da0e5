/// <reference types="node" preserve="true" />
export { Access, type ActionRight, type Admission, type Caller } from './lib/access/access.ts'
export { action } from './lib/built-in/action.ts'
export type { Graph, GraphEdge, GraphNode } from './lib/built-in/graph.ts'
export type { Readiness } from './lib/built-in/health.ts'
export { SharedLookups, type LookUp, type SharedLookupsOptions } from './lib/built-in/shared-lookups.ts'
export type { BuiltInPage, BuiltInPages, SiteAddition, SiteTools } from './lib/built-in/site-tools.ts'
export { assignmentAnswer, knownMembers, type AssignmentAnswer } from './lib/built-in/stats-pages.ts'
export type { AnswerOptions, PageAnswer, PageContext, PageHandler, ForwardedRequest } from './lib/pages/page-context.ts'
export { type JsonObject, PageError, unavailable, type PageErrorOptions } from './lib/pages/page-error.ts'
export type { AnyParams, PathParams } from './lib/pages/path-pattern.ts'
export { View, type ViewClass, type ViewFactory, type ViewSource } from './lib/pages/view.ts'
export type { KeyHandler, ParamsWith } from './lib/routing/key-route.ts'
export { groupRouter } from './lib/routing/locate.ts'
export type { KeyLocation, Router } from './lib/routing/router.ts'
export type { PeerRequest } from './lib/routing/worker-proxy.ts'
export type { Flow, NodeKind, PartitionedTable, RoutableTable, SiteApp, SiteSettings } from './lib/site-app.ts'
export type { SiteTable, SiteWorker, TopicRecords, WorkerHistograms } from './lib/site-app.ts'
export { siteWorker, type SiteWorkerParts, type SiteWorkers } from './lib/site-workers.ts'
export type { PageDeclarations } from './lib/site/declare-pages.ts'
export type {
  SiteAgentStats,
  SiteFlowStats,
  SiteJobStats,
  SiteSourceStats,
  SiteStats,
  SiteTableStats,
} from './lib/site/site-stats.ts'
export { createSite, type AddToSite, type Site } from './lib/site/site.ts'
export { localUrl, ownAddress, type BoundAddress } from './lib/site/web-part.ts'
export { webPart, type WebPart, type WebPartContext, type WebPartSettings } from './lib/site/web-part.ts'
