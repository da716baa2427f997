import type { ModelStatus } from '../commands/status.ts';

export type Snapshot = {
  readonly models: readonly ModelStatus[];
  /** Requests answered so far, and those of them that failed on our side. */
  readonly requests: number;
  readonly errors: number;
};

/** Lines of the live view; more models than fit are counted, not listed. */
const modelsShownMax = 12;

/** The block that a terminal shows and redraws: what is not ready comes first, since that is what people look for. */
export function liveBlock({ models, requests, errors }: Snapshot, perSecond: number, columns: number): string[] {
  const ready = models.filter(({ ready }) => ready).length;
  const failed = errors > 0 ? `, ${errors} failed` : '';
  const head = `${ready} of ${models.length} models ready · ${requests} requests${failed} · ${perSecond.toFixed(0)} per second`;
  const ordered = [...models].sort(
    (a, b) => Number(a.ready) - Number(b.ready) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const lines = ordered
    .slice(0, modelsShownMax)
    .map(({ name, ready, copies, reason }) => `  ${ready ? '●' : '○'} ${name} ${copies}${ready ? '' : ` ${reason}`}`);
  const hidden = ordered.length - modelsShownMax;
  const rest = hidden > 0 ? [`  … and ${hidden} more`] : [];
  return [head, ...lines, ...rest].map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}

/** What changed between two looks, one line per model, for logs and pipes. */
export function changeLines(before: readonly ModelStatus[], after: readonly ModelStatus[]): string[] {
  const key = ({ namespace, name }: ModelStatus) => `${namespace}/${name}`;
  const old = new Map(before.map((model) => [key(model), model]));
  const now = new Set(after.map(key));
  const changes = after.flatMap((model) => {
    const was = old.get(key(model));
    if (was !== undefined && was.ready === model.ready && was.reason === model.reason) return [];
    if (model.ready) return [`${key(model)}: ready (${model.copies})`];
    return [`${key(model)}: not ready: ${model.reason}`];
  });
  const removed = before.filter((model) => !now.has(key(model))).map((model) => `${key(model)}: removed`);
  return [...changes, ...removed];
}
