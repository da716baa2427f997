/** Numbers in [0, 1) that follow from the seed (sfc32, Chris Doty-Humphrey's small fast counting generator). */
export function seededRandom(seed: number): () => number {
  let [a, b, c, counter] = [seed | 0, (seed * 0x9e3779b1) | 0, 0x243f6a88, 1];
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();
  return next;
}
