import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a real client sent, as fixtures/clients/record.py wrote it down. */
export type RecordedHttp = {
  readonly call: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the request said how long its body is, or that it comes in chunks. */
  readonly hasLength: boolean;
  readonly body: Uint8Array;
};

export type RecordedGrpc = {
  readonly call: string;
  /** `/<service>/<method>`. */
  readonly method: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly messages: readonly Uint8Array[];
};

type Recording = {
  readonly client: string;
  readonly http: readonly RecordedHttp[];
  readonly grpc: readonly RecordedGrpc[];
};

type Written = {
  readonly call: string;
  readonly method: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly hasLength?: boolean;
  readonly body?: { readonly text?: string; readonly base64?: string };
  readonly metadata?: Record<string, string>;
  readonly messages?: readonly string[];
};

const directory = join(import.meta.dirname, '../../fixtures/clients');
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

/** The model that was asked has the input X, FP32 [-1, 4]; these rows were sent, and gave these labels. */
export const recordedRows = Float32Array.of(5.1, 3.5, 1.4, 0.2, 6.7, 3, 5.2, 2.3);
export const recordedLabels = [0n, 2n];

/** All of them: one for each client library and protocol. */
export const recordings: readonly Recording[] = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .sort()
  .map((name) => {
    const { exchanges } = JSON.parse(readFileSync(join(directory, name), 'utf8')) as { exchanges: Written[] };
    return {
      client: name.replace(/\.json$/, ''),
      http: exchanges.flatMap(({ path, headers = {}, hasLength = false, body = {}, ...rest }) =>
        path === undefined
          ? []
          : [
              {
                ...rest,
                path,
                headers,
                hasLength,
                body: body.text === undefined ? bytesOf(body.base64 ?? '') : new TextEncoder().encode(body.text),
              },
            ],
      ),
      grpc: exchanges.flatMap(({ call, method, metadata = {}, messages }) =>
        messages === undefined ? [] : [{ call, method, metadata, messages: messages.map(bytesOf) }],
      ),
    };
  });
