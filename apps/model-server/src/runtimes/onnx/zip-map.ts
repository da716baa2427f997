import { concatFields, type Field, fieldsOfMessage, lengthDelimited } from './protobuf.ts';

/**
 * Exporters of scikit-learn models end a classifier in a `ZipMap` node, which turns the matrix of probabilities into a list of
 * maps: no tensor, so no protocol can carry it. Without the node the matrix itself comes out, under the same name, with columns
 * in the order of the classes. Returns undefined where there is nothing to change.
 */
export function withoutZipMap(model: Uint8Array): Uint8Array | undefined {
  const fields = fieldsOfMessage(model);
  const graph = fields.find(({ number }) => number === modelGraph);
  if (graph === undefined) return undefined;
  const zipped = new Set<string>();
  const parts = fieldsOfMessage(graph.value).map((field) =>
    field.number === graphNode ? asIdentity(field, zipped) : field,
  );
  if (zipped.size === 0) return undefined;
  const changed = parts.map((field) => (field.number === graphOutput ? asTensor(field, zipped) : field));
  return concatFields(
    fields.map((field) => (field === graph ? lengthDelimited(modelGraph, concatFields(changed)) : field)),
  );
}

/** Field numbers of onnx.proto. */
const [modelGraph, graphNode, graphOutput] = [7, 1, 12];
const [nodeInput, nodeOutput, nodeName, nodeType] = [1, 2, 3, 4];
const [valueName, valueType] = [1, 2];

/** TypeProto { tensor_type { elem_type: FLOAT } }; ONNX Runtime infers the shape. */
const floatTensor = Uint8Array.of(0x0a, 2, 0x08, 1);

function asIdentity(field: Field, zipped: Set<string>): Field {
  const parts = fieldsOfMessage(field.value);
  if (textOf(parts, nodeType) !== 'ZipMap') return field;
  zipped.add(textOf(parts, nodeOutput));
  const kept = parts.filter(({ number }) => [nodeInput, nodeOutput, nodeName].includes(number));
  return lengthDelimited(graphNode, concatFields([...kept, lengthDelimited(nodeType, Buffer.from('Identity'))]));
}

function asTensor(field: Field, zipped: ReadonlySet<string>): Field {
  const parts = fieldsOfMessage(field.value);
  if (!zipped.has(textOf(parts, valueName))) return field;
  const others = parts.filter(({ number }) => number !== valueType);
  return lengthDelimited(graphOutput, concatFields([...others, lengthDelimited(valueType, floatTensor)]));
}

function textOf(fields: readonly Field[], wanted: number): string {
  const field = fields.find(({ number }) => number === wanted);
  return field === undefined ? '' : Buffer.from(field.value).toString('utf8');
}
