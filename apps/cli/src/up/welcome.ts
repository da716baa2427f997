import type { Names } from '@roundhouse/crds';
import type { Example } from './examples.ts';

export type WelcomeFacts = {
  readonly names: Names;
  readonly kubeconfigPath: string;
  readonly routerUrl: string;
  /** The service's host and a model that is known to answer; undefined without examples. */
  readonly example: (Example & { readonly host: string; readonly service: string }) | undefined;
  readonly dataDirectory: string;
};

/** What a newcomer does next. Every command works when pasted into a shell in the checkout. */
export function welcome(facts: WelcomeFacts): string {
  const { names, kubeconfigPath, routerUrl, example } = facts;
  const kubectl = [
    'Look at it with kubectl:',
    `  export KUBECONFIG=${shellWord(kubeconfigPath)}`,
    `  kubectl get ${names.shortNames.trainedModel}`,
    '  (or without kubectl: npm run -s roundhouse -- status)',
  ];
  const predict =
    example === undefined
      ? []
      : [
          '',
          'Ask a model, V2 and V1:',
          `  ${curl(routerUrl, example.host, `/v2/models/${example.model}/infer`, example.request.v2)}`,
          `  ${curl(routerUrl, example.host, `/v1/models/${example.model}:predict`, example.request.v1)}`,
        ];
  const service = example?.service ?? 'my-service';
  return [
    ...kubectl,
    ...predict,
    '',
    ...(example === undefined ? serviceOfYourOwn(names, service) : []),
    'Add a model of your own (file://, https://, s3:// or gs://; ONNX, XGBoost or LightGBM):',
    "  kubectl apply -f - <<'EOF'",
    `  apiVersion: ${names.group}/v1alpha1`,
    '  kind: TrainedModel',
    '  metadata: { name: my-model }',
    '  spec:',
    `    inferenceService: ${service}`,
    '    model: { storageUri: "https://example.com/model.onnx", framework: onnx, memory: 64Mi }',
    '  EOF',
    '',
    `Stop with Ctrl-C, or with: npm run -s roundhouse -- down --data-dir ${shellWord(facts.dataDirectory)}`,
  ].join('\n');
}

function serviceOfYourOwn({ group }: Names, name: string): string[] {
  return [
    'Make a service that models can share:',
    "  kubectl apply -f - <<'EOF'",
    `  apiVersion: ${group}/v1beta1`,
    '  kind: InferenceService',
    `  metadata: { name: ${name} }`,
    '  spec: { predictor: { model: { modelFormat: { name: onnx }, runtime: roundhouse-model-server } } }',
    '  EOF',
    '',
  ];
}

function curl(routerUrl: string, host: string, path: string, body: unknown): string {
  return `curl -s -H 'Host: ${host}' -H 'Content-Type: application/json' ${routerUrl}${path} -d ${shellWord(JSON.stringify(body))}`;
}

/** The text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
