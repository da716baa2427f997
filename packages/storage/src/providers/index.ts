import type { ProviderDeps, StorageProvider } from '../provider.ts';
import type { Scheme } from '../uri.ts';

type OpenProvider = (deps: ProviderDeps) => Promise<StorageProvider<never>>;

const http: OpenProvider = async (deps) => (await import('./http.ts')).http(deps);

/** Who serves which scheme. Each is loaded when first asked for: most agents never need more than one. */
const providers: Readonly<Partial<Record<Scheme, OpenProvider>>> = {
  file: async (deps) => (await import('./file.ts')).file(deps),
  http,
  https: http,
};

/** The provider of a scheme, which takes URIs of that scheme only. */
export async function openProvider(scheme: Scheme, deps: ProviderDeps): Promise<StorageProvider> {
  // The table pairs each scheme with the provider that takes its URIs; the compiler cannot follow that.
  return (await providers[scheme]?.(deps)) as StorageProvider;
}
