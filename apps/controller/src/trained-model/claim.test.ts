import { describe, expect, it } from 'vitest';
import { names } from '../testing/builders.ts';
import { type Claimable, planClaim, planRelease } from './claim.ts';

const parent = { name: 'shared', uid: 'uid-1' };

/** A model after `planClaim` was carried out. */
function claimed(model: Claimable, by: typeof parent | undefined): Claimable {
  const change = planClaim(names, model, 'shared', by, true)?.metadata as Claimable['metadata'] | undefined;
  return { ...model, metadata: { ...model.metadata, ...change } };
}

const model: Claimable = { metadata: { name: 'iris', namespace: 'default' }, spec: {} };

describe('planClaim', () => {
  it('has nothing left to do once it is carried out', () => {
    expect(planClaim(names, claimed(model, parent), 'shared', parent, true)).toBeUndefined();
  });

  it('leaves a service that is gone as owner, so that the garbage collector finds the model', () => {
    const orphan = claimed(claimed(model, parent), undefined);

    expect(orphan.metadata.ownerReferences).toMatchObject([{ uid: 'uid-1' }]);
  });

  it('goes to the service that has the name now', () => {
    const moved = claimed(claimed(model, parent), { name: 'shared', uid: 'uid-2' });

    expect(moved.metadata.ownerReferences).toMatchObject([{ uid: 'uid-2' }]);
  });

  it('keeps owners and finalizers of others, and takes back only its own', () => {
    const others = [
      { apiVersion: 'app.k8s.io/v1beta1', kind: 'Application', uid: 'other' },
      // A service of another group is none of ours.
      { apiVersion: 'serving.roundhouse.dev/v1beta1', kind: 'InferenceService', uid: 'beside' },
    ];
    const owned = claimed(
      { ...model, metadata: { ...model.metadata, finalizers: ['theirs'], ownerReferences: others } },
      parent,
    );

    expect(owned.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual(['other', 'beside', 'uid-1']);
    expect(planRelease(names, owned)?.metadata).toMatchObject({ finalizers: ['theirs'] });
  });
});
