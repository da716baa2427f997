import { Environment } from '@marcbachmann/cel-js';
import { patternFor } from './schema.ts';

/** A quantity as Kubernetes writes it (`100m`, `1.5Gi`), in billionths so that sums are exact. */
class Quantity {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

const nano = 1_000_000_000n;
const suffixes: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, nano],
  u: [1_000n, nano],
  m: [1_000_000n, nano],
  '': [1n, 1n],
  k: [10n ** 3n, 1n],
  M: [10n ** 6n, 1n],
  G: [10n ** 9n, 1n],
  T: [10n ** 12n, 1n],
  P: [10n ** 15n, 1n],
  E: [10n ** 18n, 1n],
  Ki: [1n << 10n, 1n],
  Mi: [1n << 20n, 1n],
  Gi: [1n << 30n, 1n],
  Ti: [1n << 40n, 1n],
  Pi: [1n << 50n, 1n],
  Ei: [1n << 60n, 1n],
};

function parseQuantity(text: string): Quantity | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', suffix = '', exponent = '0'] = match;
  const [times, over] = suffixes[suffix] ?? [1n, 1n];
  if (whole === '' && fraction === '') return undefined;
  const power = Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction) * times * nano;
  const scaled = power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power);
  const nanos = scaled / over;
  return new Quantity(sign === '-' ? -nanos : nanos);
}

function quantityOf(text: string): Quantity {
  const quantity = parseQuantity(text);
  if (quantity) return quantity;
  throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

function parseUrl(text: string): URL | undefined {
  if (text.startsWith('/')) return URL.canParse(text, 'none:') ? new URL(text, 'none:') : undefined;
  return URL.canParse(text) ? new URL(text) : undefined;
}

function urlOf(text: string): URL {
  const url = parseUrl(text);
  if (url) return url;
  throw new Error(`URL parse error during conversion from string: ${text}`);
}

const order = (a: bigint, b: bigint) => (a < b ? -1n : a > b ? 1n : 0n);

function addQuantities(environment: Environment): void {
  const on = (signature: string, handler: (a: Quantity, b: Quantity) => unknown) =>
    environment.registerFunction(`Quantity.${signature}`, handler);
  environment.registerType('Quantity', Quantity);
  environment.registerFunction('quantity(string): Quantity', quantityOf);
  environment.registerFunction('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined);
  on('sign(): int', ({ nanos }) => order(nanos, 0n));
  on('isInteger(): bool', ({ nanos }) => nanos % nano === 0n);
  on('asInteger(): int', ({ nanos }) => nanos / nano);
  on('asApproximateFloat(): double', ({ nanos }) => Number(nanos) / 1e9);
  on('isGreaterThan(Quantity): bool', (a, b) => a.nanos > b.nanos);
  on('isLessThan(Quantity): bool', (a, b) => a.nanos < b.nanos);
  on('compareTo(Quantity): int', (a, b) => order(a.nanos, b.nanos));
  on('add(Quantity): Quantity', (a, b) => new Quantity(a.nanos + b.nanos));
  on('sub(Quantity): Quantity', (a, b) => new Quantity(a.nanos - b.nanos));
  environment.registerFunction(
    'Quantity.add(int): Quantity',
    (a: Quantity, b: bigint) => new Quantity(a.nanos + b * nano),
  );
  environment.registerFunction(
    'Quantity.sub(int): Quantity',
    (a: Quantity, b: bigint) => new Quantity(a.nanos - b * nano),
  );
  environment.registerOperator('Quantity == Quantity', (a: Quantity, b: Quantity) => a.nanos === b.nanos);
}

function addUrls(environment: Environment): void {
  const on = (signature: string, handler: (url: URL) => unknown) =>
    environment.registerFunction(`URL.${signature}`, handler);
  environment.registerType('URL', URL);
  environment.registerFunction('url(string): URL', urlOf);
  environment.registerFunction('isURL(string): bool', (text: string) => parseUrl(text) !== undefined);
  on('getScheme(): string', (url) => url.protocol.replace(/^none:$/, '').replace(/:$/, ''));
  on('getHost(): string', (url) => url.host);
  on('getHostname(): string', (url) => url.hostname);
  on('getPort(): string', (url) => url.port);
  on('getEscapedPath(): string', (url) => url.pathname);
}

/** The functions of Kubernetes' CEL that the library does not bring. */
export function celEnvironment(): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    .registerVariable('self', 'dyn')
    .registerVariable('oldSelf', 'dyn');
  addQuantities(environment);
  addUrls(environment);
  const missing: readonly (readonly [string, (...values: never[]) => unknown])[] = [
    ['string.find(string): string', (text: string, pattern: string) => patternFor(pattern).exec(text)?.[0] ?? ''],
    [
      'string.findAll(string): list<string>',
      (text: string, pattern: string) =>
        [...text.matchAll(new RegExp(patternFor(pattern), 'gu'))].map(([found]) => found),
    ],
    ['list.isSorted(): bool', (list: string[]) => list.every((item, index) => index === 0 || list[index - 1]! <= item)],
  ];
  for (const [signature, handler] of missing) environment.registerFunction(signature, handler);
  return environment;
}
