/**
 * Values of a job that are no JSON, made ready before it starts: which may be cloned into slots (Arrow tables, as
 * descriptors over shared buffers) and which stay on the caller's thread. Specs are told what can only be seen here.
 */
import { prepareResource } from '../connectors/registry.ts';
import type { Plan, PlanNode } from '../core/plan/nodes.ts';

export interface Settled {
  readonly plan: Plan;
  /** Goes to the coordinator and the slots. */
  readonly shared: ReadonlyMap<string, unknown>;
  /** Stays on this thread. */
  readonly own: ReadonlyMap<string, unknown>;
}

/** Errors: `schema/mismatch`, `source/unsupported` for values that are no rows or no Arrow. */
export async function settleResources(plan: Plan, resources: ReadonlyMap<string, unknown>): Promise<Settled> {
  const shared = new Map<string, unknown>();
  const nodes = await Promise.all(
    plan.nodes.map(async (node): Promise<PlanNode> => {
      if (node.kind !== 'source' && node.kind !== 'sink') return node;
      const id = node.connector.options.resource;
      if (typeof id !== 'string' || !resources.has(id)) return node;
      const prepared = await prepareResource(node.connector, resources.get(id));
      if (prepared.shared !== undefined) shared.set(id, prepared.shared);
      return { ...node, connector: prepared.spec };
    }),
  );
  return { plan: { ...plan, nodes }, shared, own: resources };
}
