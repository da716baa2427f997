import { readFileSync } from 'node:fs';
import { CodedError, messageOf } from '@roundhouse/base';
import type { ContainerView, Images } from '@roundhouse/local-cluster';
import { z } from 'zod';
import { withLocalPorts } from './images.ts';

/** How an image is run by a program of this machine, as a file of `--images` says it. */
const program = z.strictObject({
  /** Before the container's arguments: the program, then what an image would have in its entry point. */
  command: z.array(z.string()).min(1),
  /** After the container's arguments. */
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  /** Arguments and variables that hold a port: each process gets one of its own. */
  portFlags: z.array(z.string()).default([]),
  portVariables: z.array(z.string()).default([]),
});

const programs = z.record(z.string(), program);

/** Images of further model servers by the programs that stand for them. Throws `cli/images` that says what is wrong with the file. */
export function readPrograms(path: string): Images {
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CodedError('cli/images', `--images ${path} cannot be read: ${messageOf(error)}`);
  }
  const result = programs.safeParse(text);
  if (!result.success) {
    const problems = result.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`);
    throw new CodedError('cli/images', `--images ${path} is not what it should be: ${problems.join('; ')}`);
  }
  return Object.fromEntries(Object.entries(result.data).map(([image, settings]) => [image, runnerOf(settings)]));
}

function runnerOf({ command, args, env, portFlags, portVariables }: z.infer<typeof program>): Images[string] {
  return (container: ContainerView) => {
    const [file = '', ...before] = command.map(container.path);
    const ports = portVariables.flatMap((name) => {
      const value = container.env[name];
      return value === undefined ? [] : [[name, String(container.port(Number(value)))]];
    });
    return {
      file,
      args: [...before, ...withLocalPorts(container.args, portFlags, container.port), ...args],
      env: { ...container.env, ...env, ...Object.fromEntries(ports) },
    };
  };
}
