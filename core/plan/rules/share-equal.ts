/** Equal operators over equal inputs are one: a source that two branches begin with is read once. */
import { type RelPlan, type RelRef, rewrite } from '../rel.ts';

export function shareEqual(plan: RelPlan): RelPlan {
  const known = new Map<string, RelRef>();
  let shared = false;
  const next = rewrite(plan, (rel, builder) => {
    if (rel.node.kind === 'sink') return builder.add(rel);
    // A name is an id of state: two named operators stay two.
    const key = JSON.stringify([rel.node, rel.inputs, rel.outputs, rel.from.name]);
    const same = known.get(key);
    if (same) {
      shared = true;
      return same;
    }
    const ref = builder.add(rel);
    known.set(key, ref);
    return ref;
  });
  return shared ? next : plan;
}
