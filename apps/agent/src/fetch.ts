import type { Clock, Random } from '@roundhouse/base';
import type { Materializer } from '@roundhouse/storage';
import type { FetchModel } from './steps.ts';

export type FetchOptions = {
  readonly fileRoots: readonly string[];
  readonly secretsDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** Fetches artifacts by packages/storage, which is loaded with the first of them. Credentials are read at each attempt. */
export function createFetch(
  deps: { readonly clock: Clock; readonly random: Random },
  { fileRoots, secretsDir, env }: FetchOptions,
): { readonly fetchModel: FetchModel; close(): Promise<void> } {
  let materializer: Materializer | undefined;
  return {
    async fetchModel({ storageUri, sha256, secret }, { directory, reserve }, onProgress, signal) {
      const { createMaterializer, credentialsFrom, parseStorageUri } = await import('@roundhouse/storage');
      materializer ??= createMaterializer({ ...deps, fileRoots });
      const uri = parseStorageUri(storageUri);
      const credentials = await credentialsFrom({ secretsDirectory: secretsDir, secretName: secret, env });
      const progress = ({ bytes, totalBytes }: { readonly bytes: number; readonly totalBytes: number | undefined }) =>
        onProgress(bytes, totalBytes ?? 0);
      const request = { uri, directory, sha256, credentials, reserve, onProgress: progress };
      return await materializer.materialize(request, signal);
    },
    close: async () => await materializer?.close(),
  };
}
