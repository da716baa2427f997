import type { Clock } from '@roundhouse/base';
import type { Names } from '@roundhouse/crds';
import type { Api, LocalCluster } from '@roundhouse/local-cluster';
import { request } from 'undici';
import type { ModelStatus } from '../commands/status.ts';
import { systemNamespace } from '../system/names.ts';
import { changeLines, liveBlock } from './live-view.ts';
import { modelsOf, watchModels } from './readiness.ts';
import { redrawnBlock, type Screen } from './screen.ts';

export type Totals = { readonly requests: number; readonly errors: number };

export type LifeDeps = {
  readonly clock: Clock;
  readonly screen: Screen;
  readonly api: Api;
  readonly names: Names;
  readonly totals: () => Promise<Totals | undefined>;
};

/** Often enough to feel alive, seldom enough to stay calm. */
const redrawMs = 1_000;

/** Shows models and requests until `signal` aborts: a block that redraws itself on a terminal, else a line per change. */
export async function showLife(deps: LifeDeps, signal: AbortSignal): Promise<void> {
  if (deps.screen.isTerminal) return drawLife(deps, signal);
  let shown: readonly ModelStatus[] = modelsOf(deps.api, deps.names);
  watchModels(
    deps.api,
    deps.names,
    (models) => {
      for (const line of changeLines(shown, models)) deps.screen.write(`${line}\n`);
      shown = models;
    },
    signal,
  );
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function drawLife({ clock, screen, api, names, totals }: LifeDeps, signal: AbortSignal): Promise<void> {
  const draw = redrawnBlock(screen);
  let before: Totals | undefined;
  while (!signal.aborted) {
    const now = (await totals()) ?? before ?? { requests: 0, errors: 0 };
    const perSecond = before === undefined ? 0 : Math.max(0, now.requests - before.requests) / (redrawMs / 1000);
    draw(liveBlock({ models: modelsOf(api, names), ...now }, perSecond, screen.columns()));
    before = now;
    await clock.sleep(redrawMs, signal).catch(() => {});
  }
}

const routerLabels = { app: 'roundhouse-router' };

/** What the router has counted; undefined while it is not there. */
export async function requestTotals({ api, node }: LocalCluster): Promise<Totals | undefined> {
  try {
    const [pod] = api.list({ group: '', resource: 'pods' }, { namespace: systemNamespace, labels: routerLabels }).items;
    const port = pod && node.portOf(systemNamespace, pod.metadata.name, 'ops');
    if (port === undefined) return undefined;
    const { body } = await request(`http://127.0.0.1:${port}/metrics`, {
      headersTimeout: redrawMs,
      bodyTimeout: redrawMs,
    });
    const text = await body.text();
    const sum = (pattern: RegExp) => [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
    return {
      requests: sum(/^roundhouse_router_requests_total(?:\{[^}]*\})? (\d+)/gm),
      errors: sum(/^roundhouse_router_requests_total\{[^}]*code="5\d\d"[^}]*\} (\d+)/gm),
    };
  } catch {
    return undefined; // it restarts; the next look tells
  }
}
