/** What one request may take, beyond the size of its body. */
export type Limits = {
  /** Elements of one tensor, in bytes once decoded. */
  readonly tensorBytesMax: number;
  /** What a body of JSON may take while it is parsed, as estimated. */
  readonly jsonMemoryBytesMax: number;
};

/** A number of JSON takes some 32 bytes while it is parsed, and rarely has fewer than six characters with its comma. */
const jsonGrowthMax = 6;

export function limitsFor(bodyBytesMax: number, tensorBytesMax: number = bodyBytesMax): Limits {
  return { tensorBytesMax, jsonMemoryBytesMax: jsonGrowthMax * bodyBytesMax };
}

/** As much as a body of 64 MiB, Triton's default, needs: raw, or with six characters for each number of JSON. */
export const defaultLimits: Limits = limitsFor(64 * 1024 * 1024);
