export * as wire from './gen/control_pb.js';
