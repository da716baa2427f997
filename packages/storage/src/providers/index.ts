import { type Credentials, fingerprint } from '../credentials.ts';
import type { ProviderDeps, StorageProvider } from '../provider.ts';
import type { Scheme } from '../uri.ts';

type OpenProvider = (deps: ProviderDeps) => Promise<StorageProvider<never>>;

const http: OpenProvider = async (deps) => (await import('./http.ts')).http(deps);

/** Who serves which scheme. Each is loaded when first asked for: most agents never need more than one. */
const table: Readonly<Record<Scheme, OpenProvider>> = {
  file: async (deps) => (await import('./file.ts')).file(deps),
  http,
  https: http,
  s3: async (deps) => (await import('./s3.ts')).s3(deps),
  gs: async (deps) => (await import('./gcs.ts')).gcs(deps),
};

/** Providers kept with what they learnt (tokens, regions), one per scheme and credentials in use: services rarely have more than two Secrets. */
const providersMax = 16;

export type Providers = {
  /** The provider of a scheme, which takes URIs of that scheme only. The same one for the same credentials. */
  open(scheme: Scheme, credentials: Credentials): Promise<StorageProvider>;
};

export function createProviders(deps: Omit<ProviderDeps, 'credentials'>): Providers {
  const known = new Map<string, Promise<StorageProvider>>();
  return {
    open(scheme, credentials) {
      const key = `${scheme} ${fingerprint(credentials)}`;
      // The table pairs each scheme with the provider that takes its URIs; the compiler cannot follow that.
      const provider = known.get(key) ?? (table[scheme]({ ...deps, credentials }) as Promise<StorageProvider>);
      known.delete(key);
      known.set(key, provider);
      for (const oldest of known.keys()) if (known.size > providersMax) known.delete(oldest);
      return provider;
    },
  };
}
