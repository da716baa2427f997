/** What this package needs of a log; the one of packages/telemetry fits. */
export type KubeLog = {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
};
