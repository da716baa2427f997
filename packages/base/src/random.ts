/** A source of numbers in [0, 1), passed in so that tests can choose them. */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();
