// The arrows of the house: who may import whom. Each rule says why, so that breaking one is an argument, not a riddle.
const levels = [
  ['base'],
  ['crds', 'v2-protocol', 'control-protocol', 'telemetry'],
  ['kube', 'storage', 'dialects', 'placement', 'http-relay'],
  ['local-cluster'],
];

const sources = (names) => `^packages/(${names.join('|')})/src`;

/** A package imports only from levels below its own. */
const levelRules = levels.map((names, level) => ({
  name: `level-${level}-imports-only-below`,
  comment: `${names.join(', ')} may import only from: ${levels.slice(0, level).flat().join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: sources(names), pathNot: '\\.(test|contract)\\.ts$|/(contract|testing)/' },
  to: {
    path: '^(packages|apps)/',
    pathNot: [
      ...names.map((name) => `^packages/${name}/`),
      ...levels
        .slice(0, level)
        .flat()
        .map((name) => `^packages/${name}/`),
    ].join('|'),
  },
}));

/** Within one level, each package stands alone. */
const siblingRules = levels.flatMap((names) =>
  names.length === 1
    ? []
    : [
        {
          name: `no-siblings-among-${names[0]}`,
          comment: 'packages on one level do not import each other: what two of them need lies below',
          severity: 'error',
          from: { path: `^packages/(${names.join('|')})/src`, pathNot: '\\.test\\.ts$' },
          to: { path: sources(names), pathNot: '^packages/$1/' },
        },
      ],
);

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'a cycle has no first file to read',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...levelRules,
    ...siblingRules,
    {
      name: 'apps-do-not-import-apps',
      comment: 'processes talk over the wire; what they share is a package',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'testkit-is-for-tests',
      comment: 'fakes and builders never ship',
      severity: 'error',
      from: {
        path: '^(packages|apps)/',
        pathNot: '\\.(test|contract)\\.ts$|/(contract|testing)/|^packages/testkit/|vitest',
      },
      to: { path: '^packages/testkit/' },
    },
    {
      name: 'pure-packages-do-no-io',
      comment: 'decisions are tested by the hundred because they touch nothing',
      severity: 'error',
      from: { path: '^packages/(crds|v2-protocol|placement)/src', pathNot: '\\.test\\.ts$|/testing/' },
      to: { path: '^(node:)?(fs|net|http|https|http2|tls|dns|child_process|worker_threads)(/|$)' },
    },
    {
      name: 'only-kube-knows-the-kubernetes-library',
      comment: 'its quirks are hidden in one place; the router has no access to the Kubernetes API at all',
      severity: 'error',
      from: { pathNot: '^packages/kube/' },
      to: { path: 'node_modules/@kubernetes/' },
    },
    {
      name: 'the-router-has-no-kubernetes',
      comment: 'it faces clients, so all it knows comes over the control stream',
      severity: 'error',
      from: { path: '^apps/router/' },
      to: { path: '^packages/(kube|crds|local-cluster)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/(dist|gen)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
