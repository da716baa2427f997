import { createHash } from 'node:crypto';
import { annotations } from '@roundhouse/crds';
import type { Child, StoredChild } from '../children.ts';
import type { Rendering } from './rendering.ts';

/**
 * Who rendered a Deployment, and from what: what its owner and the runtime's author said, and nothing that an upgrade of Roundhouse
 * brings along. Runtimes of the chart count by their name only, since the chart changes them.
 */
export function releaseMarks({ service, predictor, runtime, storage, fileRoots, config, installation }: Rendering) {
  const chart = runtime.annotations[annotations.chart];
  const said = {
    labels: service.labels,
    annotations: { ...service.annotations, [lastApplied]: undefined },
    predictor: Object.fromEntries(Object.entries(predictor).filter(([field]) => !ofScaling.has(field))),
    runtime: chart === undefined ? runtime.spec : runtime.name,
    storage,
    fileRoots,
    // What it says of predictors decides whether something is rendered, not what.
    config: { ...config, predictors: undefined },
  };
  return {
    // The runtime of the next release may come while the controller of the last one still leads.
    [annotations.renderedBy]: chart === undefined ? installation.agentImage : `${installation.agentImage} ${chart}`,
    [annotations.renderedFrom]: createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 16),
  };
}

/** Replicas come and go without a new pod template. */
const ofScaling: ReadonlySet<string> = new Set([
  ...['minReplicas', 'maxReplicas', 'scaleTarget', 'scaleMetric', 'scaleMetricType', 'autoScaling'],
]);

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * What we render, but with the stored pod template where another release of Roundhouse rendered that from the same: an upgrade rolls
 * no predictor. The next change of the service brings the new template.
 */
export function withStoredTemplate<Wanted extends Child>(wanted: Wanted, current: StoredChild | undefined): Wanted {
  const [was, is] = [current?.metadata.annotations ?? {}, wanted.metadata.annotations ?? {}];
  const template = (current?.spec as { readonly template?: object } | undefined)?.template;
  const isSame = was[annotations.renderedFrom] === is[annotations.renderedFrom];
  if (wanted.kind !== 'Deployment' || template === undefined || !isSame) return wanted;
  const renderedBy = was[annotations.renderedBy] ?? '';
  if (renderedBy === is[annotations.renderedBy]) return wanted;
  const metadata = { ...wanted.metadata, annotations: { ...is, [annotations.renderedBy]: renderedBy } };
  return { ...wanted, metadata, spec: { ...wanted.spec, template } };
}
