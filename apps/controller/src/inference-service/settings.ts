import { isDeepStrictEqual } from 'node:util';
import type { Installation, RecordEvent, Stored, Views } from '../cluster.ts';
import { type ParsedConfig, parseServiceConfig, serviceConfigName } from './service-config.ts';

export type Deps = {
  readonly views: Pick<Views, 'settings'>;
  readonly installation: Installation;
  readonly record: RecordEvent;
};

export type Settings = ReturnType<typeof createSettings>;

/** The ConfigMap of settings for all services, as it was last read. */
export function createSettings({ views, installation, record }: Deps) {
  const source = () => views.settings.get(`${installation.namespace}/${serviceConfigName}`);
  let current: ParsedConfig = parseServiceConfig(undefined);

  return {
    current: () => current,
    source,

    /** Reads it again when `changed`, an object that changed, is it. Returns whether anything is different. */
    read(changed?: Stored): boolean {
      if (changed !== undefined && changed.metadata.name !== serviceConfigName) return false;
      const object = source();
      const before = current;
      current = parseServiceConfig(object?.data as Readonly<Record<string, string>> | undefined);
      if (
        object !== undefined &&
        current.problems.length > 0 &&
        !isDeepStrictEqual(before.problems, current.problems)
      ) {
        const message = `${current.problems.join('; ')}: running services stay as they are`;
        record(object, { type: 'Warning', reason: 'InvalidKey', message });
      }
      return !isDeepStrictEqual(before, current);
    },
  };
}
