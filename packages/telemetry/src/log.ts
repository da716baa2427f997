import { type DestinationStream, pino } from 'pino';

export type Fields = Readonly<Record<string, unknown>>;

/** Constant messages, variable fields: `log.info({ model, replica }, 'loaded')`. */
export type Log = {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A log whose every line carries `fields`. */
  child(fields: Fields): Log;
};

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** JSON lines with an ISO time, to standard output unless `destination` says otherwise. Errors go under `err`. */
export function createLog(name: string, level: LogLevel = 'info', destination?: DestinationStream): Log {
  const options = {
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: levelName },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

const levelName = (label: string) => ({ level: label });

const nothing = () => {};

/** For tests and callers that want no log. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silentLog };
