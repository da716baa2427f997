import type { World } from './world.ts';

/** Requests by verb and resource, as the API server counts them. */
export type Traffic = ReadonlyMap<string, number>;

const watched =
  /^(trainedmodels|inferenceservices|servingruntimes|clusterservingruntimes|configmaps|events|deployments|leases)$/;

/**
 * What the API server has counted so far, without health checks and the like. A verb is one of the API server's: POST, PUT, PATCH,
 * GET, LIST, WATCH; a subresource follows its resource after a slash.
 */
export async function readTraffic(kubectl: World['kubectl']): Promise<Traffic> {
  const text = await kubectl(['get', '--raw', '/metrics']);
  const counts = new Map<string, number>();
  for (const [, labels = '', value] of text.matchAll(/^apiserver_request_total\{([^}]*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    if (!watched.test(label('resource'))) continue;
    const subresource = label('subresource');
    const key = `${label('verb')} ${label('resource')}${subresource && `/${subresource}`}`;
    counts.set(key, (counts.get(key) ?? 0) + Number(value));
  }
  return counts;
}

/** What came between two readings. */
export function between(before: Traffic, after: Traffic): Readonly<Record<string, number>> {
  const more = [...after].map(([key, count]) => [key, count - (before.get(key) ?? 0)] as const);
  return Object.fromEntries(more.filter(([, count]) => count > 0));
}
