import {
  InferenceError,
  type InferRequest,
  type InferResponse,
  invalid,
  layoutOf,
  shapeText,
  type Tensor,
  type TensorMetadata,
} from '@roundhouse/v2-protocol';
import type { Codec } from './codec.ts';
import type { Model } from './model.ts';
import type { Repository } from './repository.ts';

/** Predictions, whatever the transport that carries them. */
export type Inference = {
  infer(name: string, version: string | undefined, request: InferRequest): Promise<InferResponse>;
  /** `onDecoded` is told the inputs before the model sees them. */
  predictV1(
    name: string,
    body: Uint8Array,
    onDecoded?: (inputs: readonly Tensor[]) => void,
  ): Promise<readonly Tensor[]>;
};

export function createInference(
  repository: Repository,
  codec: Pick<Codec, 'decodeV1Request'>,
  batchRowsMax: number,
): Inference {
  const matched = (model: Model, inputs: readonly Tensor[]) => matchInputs(model, inputs, batchRowsMax);
  return {
    async infer(name, version, { id, inputs, outputs }) {
      return repository.using(name, version, async ({ model, version: modelVersion }) => {
        const wanted = wantedOutputs(
          model,
          outputs.map((output) => output.name),
        );
        return { modelName: name, modelVersion, id, outputs: await model.predict(matched(model, inputs), wanted) };
      });
    },
    async predictV1(name, body, onDecoded) {
      return repository.using(name, undefined, async ({ model }) => {
        const inputs = await codec.decodeV1Request(body, model.inputs, model.features);
        onDecoded?.(inputs);
        return model.predict(matched(model, inputs), wantedOutputs(model, []));
      });
    },
  };
}

function wantedOutputs(model: Model, requested: readonly string[]): readonly string[] {
  const names = model.outputs.map(({ name }) => name);
  const unknown = requested.find((name) => !names.includes(name));
  if (unknown !== undefined) throw invalid(`the model has no output "${unknown}"; it has ${quoted(names)}`);
  if (new Set(requested).size < requested.length) throw invalid('an output is asked for twice');
  return requested.length > 0 ? requested : names;
}

/** The request's tensors in the model's order. A model with one input takes one tensor under any name, as KServe's servers do. */
export function matchInputs(
  model: Pick<Model, 'inputs' | 'takesAnyNumber'>,
  tensors: readonly Tensor[],
  batchRowsMax: number,
): readonly Tensor[] {
  const { inputs } = model;
  if (tensors.length !== inputs.length)
    throw invalid(`the model takes ${countText(inputs)}, but the request has ${tensors.length}`);
  return inputs.map((input) => {
    const [only] = tensors;
    const tensor = inputs.length === 1 ? only : tensors.find(({ name }) => name === input.name);
    if (tensor === undefined) throw invalid(`input "${input.name}" is missing`);
    checkType(input, tensor, model.takesAnyNumber);
    checkShape(input, tensor);
    checkBatch(input, tensor, batchRowsMax);
    return tensor.name === input.name ? tensor : { ...tensor, name: input.name };
  });
}

function countText(inputs: readonly TensorMetadata[]): string {
  return `${inputs.length} input${inputs.length === 1 ? '' : 's'} (${quoted(inputs.map(({ name }) => name))})`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function checkType({ name, datatype }: TensorMetadata, tensor: Tensor, anyNumber: boolean) {
  const { kind } = layoutOf(tensor.datatype);
  const fits = anyNumber ? kind !== 'bytes' && kind !== 'half' : tensor.datatype === datatype;
  if (!fits) throw invalid(`input "${name}" takes ${datatype}, not ${tensor.datatype}`);
}

function checkShape({ name, shape }: TensorMetadata, tensor: Tensor) {
  // ONNX Runtime shows an unknown rank as no dimensions at all.
  if (shape.length === 0) return;
  const fits =
    shape.length === tensor.shape.length && shape.every((size, at) => size === -1 || size === tensor.shape[at]);
  if (!fits)
    throw invalid(
      `input "${name}" takes shape ${shapeText(shape)} (-1 is any size), but the request has ${shapeText(tensor.shape)}`,
    );
}

/** Where the model leaves the first dimension open, it is a batch. */
function checkBatch({ name, shape }: TensorMetadata, tensor: Tensor, rowsMax: number) {
  const [rows = 0] = tensor.shape;
  if (shape[0] === -1 && rows > rowsMax)
    throw new InferenceError(
      'inference/too-large',
      `input "${name}" has ${rows} rows; ${rowsMax} are the most that are taken at once (--batch-limit)`,
    );
}
