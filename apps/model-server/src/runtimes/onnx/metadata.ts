import type { DataType, TensorMetadata } from '@roundhouse/v2-protocol';
import type { InferenceSession } from 'onnxruntime-node';
import { unsupported } from '../../model.ts';

/** The V2 data type of what ONNX Runtime has under a name; undefined where V2 has none. */
export const dataTypes: Readonly<Record<string, DataType>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

/** The name ONNX Runtime has for a V2 data type. */
export const onnxTypes = Object.fromEntries(Object.entries(dataTypes).map(([onnx, datatype]) => [datatype, onnx]));

/** Inputs and outputs as V2 names them. Outputs that are no tensors, such as maps of probabilities, are left out. */
export function tensorsOf(
  kind: 'input' | 'output',
  values: readonly InferenceSession.ValueMetadata[],
): readonly TensorMetadata[] {
  return values.flatMap((value) => {
    if (!value.isTensor) {
      if (kind === 'output') return [];
      throw unsupported(`input "${value.name}" is not a tensor`);
    }
    const datatype = dataTypes[value.type];
    if (datatype === undefined)
      throw unsupported(`${kind} "${value.name}" has type ${value.type}, which V2 cannot carry`);
    // Symbolic sizes are strings, and some exporters write 0 or -1 for them.
    const shape = value.shape.map((size) => (typeof size === 'number' && size > 0 ? size : -1));
    return [{ name: value.name, datatype, shape }];
  });
}
