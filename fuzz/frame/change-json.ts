const oddValues: readonly unknown[] = [null, true, -1, 0, 0.5, 2 ** 31, 2 ** 53, 1e19, 1e300, '', 'x', [], {}, [[]]];

type Place = { readonly holder: Record<string, unknown>; readonly key: string };

/** Changes one value of a JSON text by its structure, which changes of bytes seldom survive. What is no JSON stays as it is. */
export function changeJson(input: Uint8Array, random: () => number): Uint8Array {
  let root: unknown;
  try {
    root = JSON.parse(Buffer.from(input).toString('utf8'));
  } catch {
    return input;
  }
  const places = placesIn({ root }, []);
  const pick = () => places[Math.floor(random() * places.length)] as Place;
  const { holder, key } = pick();
  const kind = random();
  if (kind < 0.2) delete holder[key];
  else if (kind < 0.5) holder[key] = oddValues[Math.floor(random() * oddValues.length)];
  else if (kind < 0.7) holder[`${key}${Math.floor(random() * 3)}`] = holder[key];
  else {
    const other = pick();
    holder[key] = structuredClone(other.holder[other.key]);
  }
  const text = JSON.stringify(root);
  return text === undefined ? input : new Uint8Array(Buffer.from(text));
}

function placesIn(value: unknown, found: Place[]): Place[] {
  if (typeof value !== 'object' || value === null || found.length > 10_000) return found;
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) {
    found.push({ holder, key });
    placesIn(holder[key], found);
  }
  return found;
}
