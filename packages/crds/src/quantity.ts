/**
 * Kubernetes quantities, exact: a value counts in nano-units, the finest step that Kubernetes keeps.
 * https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity
 */
export type Quantity = { readonly nanos: bigint; readonly format: 'BinarySI' | 'DecimalSI' | 'DecimalExponent' };

const nanosPerUnit = 10n ** 9n;
/** Kubernetes caps larger values here. */
const nanosMax = (2n ** 63n - 1n) * nanosPerUnit;

const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/** The API's pattern for quantities that are given as strings. */
export const quantityPattern =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$';

/** Exponents beyond this are all the cap, or all nothing: no need to build such numbers. */
const exponentMax = 60;

/** `1Gi`, `500m`, `1e3`, `1024`; undefined when it is none. Fractions of a nano-unit round away from zero. */
export function parseQuantity(input: unknown): Quantity | undefined {
  if (typeof input !== 'string' && typeof input !== 'number') return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d+))?$/.exec(String(input));
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', binary, decimal = '', exponentText] = match;
  if (whole === '' && fraction === '') return undefined;
  const digits = BigInt(whole + fraction);
  const exponent = clampExponent(exponentText === undefined ? (decimalExponents[decimal] ?? 0) : Number(exponentText));
  const scale = binary === undefined ? 1n : 1024n ** BigInt(binarySuffixes.indexOf(binary));
  const power = (binary === undefined ? exponent : 0) + 9 - fraction.length;
  const magnitude =
    power >= 0 ? digits * scale * 10n ** BigInt(power) : divideUp(digits * scale, 10n ** BigInt(-power));
  const capped = magnitude > nanosMax ? nanosMax : magnitude;
  const format = binary !== undefined ? 'BinarySI' : exponentText !== undefined ? 'DecimalExponent' : 'DecimalSI';
  return { nanos: sign === '-' ? -capped : capped, format };
}

/** The canonical text, as the API server writes it: `1024Mi` is `1Gi`, `1.5` is `1500m`. */
export function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return '0';
  const units = nanos / nanosPerUnit;
  const whole = units * nanosPerUnit === nanos;
  if (format === 'BinarySI' && whole && (units <= -1024n || units >= 1024n)) return formatBinary(units);
  return formatDecimal(nanos, format === 'DecimalExponent');
}

/** Whole units, such as bytes, rounded up. */
export function unitsOf({ nanos }: Quantity): number {
  return Number(nanos > 0n ? divideUp(nanos, nanosPerUnit) : nanos / nanosPerUnit);
}

/** Bytes of a memory quantity; undefined when it is no quantity. */
export function bytesOf(input: unknown): number | undefined {
  const quantity = parseQuantity(input);
  return quantity === undefined ? undefined : unitsOf(quantity);
}

function formatBinary(units: bigint): string {
  let rest = units;
  let power = 0;
  while (power < binarySuffixes.length - 1 && rest % 1024n === 0n) {
    rest /= 1024n;
    power++;
  }
  return `${rest}${binarySuffixes[power]}`;
}

function formatDecimal(nanos: bigint, exponential: boolean): string {
  let rest = nanos;
  let exponent = -9;
  while (exponent < 18 && rest % 1000n === 0n) {
    rest /= 1000n;
    exponent += 3;
  }
  if (exponential) return exponent === 0 ? `${rest}` : `${rest}e${exponent}`;
  return `${rest}${Object.entries(decimalExponents).find(([, value]) => value === exponent)?.[0] ?? ''}`;
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}

function clampExponent(exponent: number): number {
  return Math.max(-exponentMax, Math.min(exponentMax, exponent));
}
