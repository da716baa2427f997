import { isDeepStrictEqual } from 'node:util';
import type { Names } from '@roundhouse/crds';
import type { Installation, RecordEvent, Stored, Views } from '../cluster.ts';
import { type ParsedConfig, parseServiceConfig } from './service-config.ts';

export type Deps = {
  readonly names: Names;
  readonly views: Pick<Views, 'settings'>;
  readonly installation: Installation;
  readonly record: RecordEvent;
};

export type Settings = ReturnType<typeof createSettings>;

/** KServe's ConfigMap of settings for all services, beside the controller, as it was last read. */
export function createSettings({ names, views, installation, record }: Deps) {
  const source = () => views.settings.get(`${installation.namespace}/${names.settings}`);
  let current: ParsedConfig = parseServiceConfig(undefined);

  return {
    current: () => current,
    source,

    /** Reads it again when `changed`, an object that changed, is it. Returns whether anything is different. */
    read(changed?: Stored): boolean {
      if (changed !== undefined && changed.metadata.name !== names.settings) return false;
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
