import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  AgentMessageSchema,
  Control,
  ControllerMessageSchema,
  RouterMessageSchema,
  RouteUpdateSchema,
} from './gen/control_pb.js';

export const attachMethod = streamMethod(Control.method.attach.name, AgentMessageSchema, ControllerMessageSchema);
export const routeMethod = streamMethod(Control.method.route.name, RouterMessageSchema, RouteUpdateSchema);

/** A method as grpc-js wants it: what is written may leave fields out, what is read is complete. */
function streamMethod<In extends DescMessage, Out extends DescMessage>(name: string, input: In, output: Out) {
  return {
    path: `/${Control.typeName}/${name}`,
    requestStream: true as const,
    responseStream: true as const,
    requestSerialize: (message: MessageInitShape<In>) => encode(input, message),
    requestDeserialize: (bytes: Uint8Array) => fromBinary(input, bytes),
    responseSerialize: (message: MessageInitShape<Out>) => encode(output, message),
    responseDeserialize: (bytes: Uint8Array) => fromBinary(output, bytes),
  };
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
