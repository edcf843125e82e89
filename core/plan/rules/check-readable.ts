/** Columns of types that have no storage yet may stand in a source, but nobody may read them. */
import { storageOf, storedTypes } from '../../record/layout.ts';
import { typeName } from '../../record/types.ts';
import { fail } from '../names.ts';
import type { RelPlan } from '../rel.ts';

/** After pruning. Errors: `plan/unsupported` with the column and its type. */
export function checkReadable(plan: RelPlan): void {
  for (const { node, from } of plan.rels) {
    if (node.kind !== 'source') continue;
    for (const leaf of node.request.layout) {
      try {
        storageOf(leaf.type);
      } catch {
        fail(
          'plan/unsupported',
          from,
          `column '${leaf.name}' is ${typeName(leaf.type)}, which cannot be read yet; leave it out with drop or select, or declare it in the schema as ${storedTypes}`,
        );
      }
    }
  }
}
