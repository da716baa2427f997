/** Where a server listens. */
export type Address = { readonly host: string; readonly port: number } | { readonly socketPath: string };
