import { closeSync, openSync, writeSync } from 'node:fs';

/** Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). */
type Attribute = readonly [name: string, kind: 'ints' | 'floats' | 'strings', values: readonly (number | string)[]];

const floatType = 1;

/**
 * A regression tree whose branches form one chain of `depth`: ONNX Runtime reads trees by recursion, so that a deep one ends the
 * process that loads it (a chain of 20,000 does so with a stack of 8 MiB). Each branch looks at column `feature` of the one that
 * there is: another than 0 loads, but no prediction succeeds.
 */
export function deepTreeOnnx(depth: number, feature = 0): Uint8Array {
  const nodes = 2 * depth + 1;
  const list = (value: (node: number) => number) => Array.from({ length: nodes }, (_, node) => value(node));
  const isBranch = (node: number) => node < depth;
  const leaves = Array.from({ length: depth + 1 }, (_, at) => depth + at);
  const attributes: Attribute[] = [
    ['nodes_treeids', 'ints', list(() => 0)],
    ['nodes_nodeids', 'ints', list((node) => node)],
    ['nodes_featureids', 'ints', list(() => feature)],
    ['nodes_modes', 'strings', list(Number).map((node) => (isBranch(node) ? 'BRANCH_LEQ' : 'LEAF'))],
    ['nodes_values', 'floats', list((node) => node)],
    ['nodes_truenodeids', 'ints', list((node) => (isBranch(node) ? Math.min(node + 1, depth) : 0))],
    ['nodes_falsenodeids', 'ints', list((node) => (isBranch(node) ? depth + 1 + node : 0))],
    ['target_treeids', 'ints', leaves.map(() => 0)],
    ['target_nodeids', 'ints', leaves],
    ['target_ids', 'ints', leaves.map(() => 0)],
    ['target_weights', 'floats', leaves.map(() => 1)],
  ];
  const node = message(
    text(1, 'x'),
    text(2, 'y'),
    text(4, 'TreeEnsembleRegressor'),
    text(7, 'ai.onnx.ml'),
    ...attributes.map(attribute),
    // n_targets: 1
    bytes(5, message(text(1, 'n_targets'), number(3, 1), number(20, 2))),
  );
  return modelOf(message(bytes(1, node), text(2, 'deep'), valueInfo(11, 'x', 1), valueInfo(12, 'y', 1)));
}

/** A square matrix of `width` times `width` random weights that is multiplied with each row of `x`; written piece by piece. */
export function writeMatrixOnnx(path: string, width: number): void {
  const node = message(text(1, 'x'), text(1, 'w'), text(2, 'y'), text(4, 'MatMul'));
  const weightsBytes = width * width * 4;
  const weightsHead = message(
    number(1, width),
    number(1, width),
    number(2, floatType),
    text(8, 'w'),
    head(9, weightsBytes),
  );
  const ends = message(valueInfo(11, 'x', width), valueInfo(12, 'y', width));
  const start = message(bytes(1, node), text(2, 'matrix'), head(5, weightsHead.length + weightsBytes), weightsHead);
  const rest = modelRest();
  const file = openSync(path, 'w');
  try {
    writeSync(file, message(rest, head(7, start.length + weightsBytes + ends.length), start));
    const row = new Float32Array(width);
    let state = 1;
    for (let at = 0; at < width; at++) {
      for (let column = 0; column < width; column++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
        row[column] = state / 2 ** 31;
      }
      writeSync(file, new Uint8Array(row.buffer));
    }
    writeSync(file, ends);
  } finally {
    closeSync(file);
  }
}

function modelOf(graph: Uint8Array): Uint8Array {
  return message(modelRest(), bytes(7, graph));
}

/** IR version 8, operator sets of 2022. */
function modelRest(): Uint8Array {
  const opset = (domain: string, version: number) => bytes(8, message(text(1, domain), number(2, version)));
  return message(number(1, 8), opset('', 17), opset('ai.onnx.ml', 3));
}

function attribute([name, kind, values]: Attribute): Uint8Array {
  const field = { ints: 8, floats: 7, strings: 9 }[kind];
  const type = { ints: 7, floats: 6, strings: 8 }[kind];
  const content =
    kind === 'strings'
      ? message(...values.map((value) => text(field, String(value))))
      : bytes(
          field,
          kind === 'ints' ? message(...values.map((value) => varint(Number(value)))) : floats(values.map(Number)),
        );
  return bytes(5, message(text(1, name), content, number(20, type)));
}

function floats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** A matrix of any number of rows. */
function valueInfo(field: number, name: string, columns: number): Uint8Array {
  const shape = message(bytes(1, text(2, 'n')), bytes(1, number(1, columns)));
  const tensor = message(number(1, floatType), bytes(2, shape));
  return bytes(field, message(text(1, name), bytes(2, bytes(1, tensor))));
}

function message(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, Buffer.from(value));
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([head(field, value.length), value]);
}

function head(field: number, length: number): Uint8Array {
  return Buffer.concat([varint(field * 8 + 2), varint(length)]);
}

function number(field: number, value: number): Uint8Array {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function varint(value: number): Uint8Array {
  const found: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 0x80)) {
    if (rest < 0x80) return Uint8Array.from([...found, rest]);
    found.push((rest % 0x80) + 0x80);
  }
}
