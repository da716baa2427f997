export type { AgentSession, AssignedModelFields, ReportChange } from './agent-session.ts';
export {
  type AgentHelloFields,
  type AgentStream,
  type AgentStreamOptions,
  type AssignmentView,
  attachAgent,
  type ModelReportFields,
} from './agent-stream.ts';
export type { Connection } from './connection.ts';
export { type ControlServer, type ControlServerOptions, serveControl } from './control-server.ts';
export * as wire from './gen/control_pb.js';
export type { StreamLog } from './log.ts';
export { createRouteBoard, type RouteBoard, type RouteChange } from './route-board.ts';
export type { RouterSession } from './router-session.ts';
export {
  openRoutes,
  type RouterHelloFields,
  type RouteStream,
  type RouteStreamOptions,
} from './router-stream.ts';
