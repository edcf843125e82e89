/**
 * Values of a job that are no JSON, settled before it starts: which may be cloned into slots (Arrow tables, as
 * descriptors over shared buffers) and which stay on the caller's thread. The plan's source specs are told what can only
 * be seen here: the schema of rows.
 */
import { inferFields } from '../connectors/rows/fields.ts';
import type { Plan, PlanNode } from '../core/plan/nodes.ts';
import type { Json } from '../core/ports/connector.ts';
import type { Fields } from '../core/record/types.ts';

export interface Settled {
  readonly settled: Plan;
  readonly shared: ReadonlyMap<string, unknown>;
  readonly own: ReadonlyMap<string, unknown>;
}

export function settleResources(plan: Plan, resources: ReadonlyMap<string, unknown>): Settled {
  const shared = new Map<string, unknown>();
  const own = new Map<string, unknown>(resources);
  const nodes = plan.nodes.map((node): PlanNode => {
    if (node.kind !== 'source') return node;
    const id = node.connector.options.resource;
    if (typeof id !== 'string') return node;
    const value = resources.get(id);
    if (node.connector.kind === 'arrow') {
      shared.set(id, prepareTable(value));
      own.delete(id);
      return node;
    }
    const rows = Array.isArray(value) ? value : null;
    const fields: Fields | null = node.schema ?? (rows ? inferFields(rows) : null);
    const options = {
      ...node.connector.options,
      schema: fields as unknown as Json,
      ...(rows ? { rows: rows.length } : {}),
    };
    return { ...node, connector: { ...node.connector, options } };
  });
  return { settled: { ...plan, nodes }, shared, own };
}

function prepareTable(table: unknown): unknown {
  return table;
}
