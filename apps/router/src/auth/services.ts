/** Services that a credential opens: `namespace/name`, `namespace/*` or `*`. */
export type Services = (key: string) => boolean;

const form = /^(?:\*|[a-z0-9][a-z0-9.-]*\/(?:\*|[a-z0-9][a-z0-9.-]*))$/;

/** Throws with the pattern that it cannot read. */
export function servicesOf(patterns: readonly string[]): Services {
  for (const pattern of patterns) {
    if (!form.test(pattern)) throw new Error(`"${pattern}" is none of namespace/name, namespace/* and *`);
  }
  const exact = new Set(patterns);
  return (key) => exact.has('*') || exact.has(key) || exact.has(`${key.slice(0, key.indexOf('/'))}/*`);
}
