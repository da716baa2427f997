export { rules, runConformance, type Verdict } from './conformance/run.ts';
export type { GrpcAnswer, GrpcCall, HttpAnswer, HttpRequest, Transport } from './conformance/transport.ts';

/** Of the calls' paths: `/<service>/<method>`. */
export const grpcServiceName = 'inference.GRPCInferenceService';
