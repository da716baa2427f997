import { z } from 'zod/mini';
import type { Answer } from './dialect.ts';

const errorBody = z.object({
  error: z.optional(z.string()),
  message: z.optional(z.string()),
  detail: z.optional(z.unknown()),
});

/** The server's own words in an error answer: `error` (V2), `detail` (FastAPI), `message` (TorchServe), or plain text. */
export function errorTextOf({ status, text }: Answer): string {
  const parsed = errorBody.safeParse(parseJson(text));
  const words = parsed.success ? (parsed.data.error ?? parsed.data.message ?? parsed.data.detail) : text;
  const line = (typeof words === 'string' ? words : JSON.stringify(words ?? '')).replaceAll(/\s+/g, ' ').trim();
  return line === '' || line === '""' ? `status ${status}` : line.slice(0, errorTextMax);
}

/** Long enough for a stack's first lines; statuses and log lines stay readable. */
const errorTextMax = 500;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
