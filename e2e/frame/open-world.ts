import { target, type World } from './world.ts';

/** The world of this run's target. */
export async function openWorld(): Promise<World> {
  if (target === 'local') return (await import('./local-world.ts')).openLocalWorld();
  return (await import('./cluster-world.ts')).openClusterWorld();
}
