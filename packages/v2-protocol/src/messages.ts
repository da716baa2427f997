import type { TensorMetadata } from './tensor.ts';

/** Body of `GET /v2`. */
export type ServerMetadata = {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
};

/** Body of `GET /v2/models/M`. */
export type ModelMetadata = {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
};

export type ModelState = 'UNKNOWN' | 'READY' | 'UNAVAILABLE' | 'LOADING' | 'UNLOADING';

/** One entry of the answer to `POST /v2/repository/index`. */
export type IndexEntry = {
  readonly name: string;
  readonly version?: string;
  readonly state: ModelState;
  readonly reason?: string;
};
