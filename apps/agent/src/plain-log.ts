import type { Clock } from '@roundhouse/base';
import type { Fields, Log } from '@roundhouse/telemetry';
import type { WriteLine } from './life.ts';

/** The agent's other messages in the form of its models' lives: time, words, and what varies behind them. */
export function createPlainLog(
  { clock, write }: { readonly clock: Clock; readonly write: WriteLine },
  bound: Fields = {},
): Log {
  const say = (prefix: string) => (fields: Fields, message: string) =>
    write(`${new Date(clock.now()).toISOString()} ${prefix}${message}${textOf({ ...bound, ...fields })}`);
  return {
    debug: () => {},
    info: say(''),
    warn: say('warning: '),
    error: say('error: '),
    child: (fields) => createPlainLog({ clock, write }, { ...bound, ...fields }),
  };
}

function textOf(fields: Fields): string {
  const parts = Object.entries(fields).map(([key, value]) => {
    const text = value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value);
    return `${key}: ${text}`;
  });
  return parts.length === 0 ? '' : ` (${parts.join(', ').replaceAll(/\s+/g, ' ')})`;
}
