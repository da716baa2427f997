import { CodedError } from '@roundhouse/base';
import type { Tensor, TensorMetadata } from '@roundhouse/v2-protocol';

/** A loaded model, whatever its format. */
export type Model = {
  /** As V2 metadata names it, such as `onnx_onnxv1`. */
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** Columns of the only input, where the file names them. */
  readonly features: readonly string[] | undefined;
  /** Whether any numeric type will do for the inputs; otherwise each must have its own. */
  readonly takesAnyNumber: boolean;
  /**
   * Inputs in the order of `inputs`, checked against it; gives the outputs named in `wanted`, in that order.
   * Synchronous where the work is small.
   */
  predict(inputs: readonly Tensor[], wanted: readonly string[]): readonly Tensor[] | Promise<readonly Tensor[]>;
  close(): Promise<void>;
};

/** A file that cannot be served, with the reason and, where there is one, the way out. */
export class ModelRefused extends CodedError<
  'model/not-found' | 'model/invalid' | 'model/unsupported' | 'model/no-space'
> {}

export function corrupt(message: string, cause?: unknown): ModelRefused {
  return new ModelRefused('model/invalid', message, { cause });
}

export function noSpace(message: string): ModelRefused {
  return new ModelRefused('model/no-space', message);
}

export function unsupported(message: string): ModelRefused {
  return new ModelRefused('model/unsupported', message);
}
