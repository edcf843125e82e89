/**
 * Stable ids of operators: state and positions are kept under them, so they must survive a changed constant, an added
 * filter and another parallelism. `.named` decides; else an id is a hash of the kind and of the stateful operators above.
 */
import { fail } from './names.ts';
import type { Plan, PlanNode, PlanNodeKind } from './nodes.ts';
import type { Rel } from './rel.ts';

/** What of a node's own makes it this node; null: it keeps nothing, and what stands behind it looks through it. */
const ownText: { [K in PlanNodeKind]: ((node: Extract<PlanNode, { kind: K }>) => unknown) | null } = {
  source: (n) => [n.connector.kind, n.connector.label],
  eventTime: null,
  filter: null,
  project: null,
  map: null,
  union: () => null,
  aggregate: (n) => [n.keys, n.window],
  process: (n) => n.ports.map((port) => [port.name, port.keys]),
  join: (n) => (n.asOf ? [n.type, 'asOf'] : n.type),
  distinct: () => null,
  sort: () => null,
  limit: () => null,
  topN: (n) => n.partitionBy,
  toChangelog: null,
  fromChangelog: (n) => n.key,
  over: (n) => [n.partitionBy, n.orderBy],
  sink: null,
};

/** An id for every logical node. Errors: `plan/duplicate` when two nodes were given one name. */
export function stableIds(plan: Plan): ReadonlyMap<string, string> {
  const ids = new Map<string, string>();
  const paths = new Map<string, string>();
  const taken = new Map<string, PlanNode>();
  for (const node of plan.nodes) {
    if (node.name === null) continue;
    const other = taken.get(node.name);
    if (other)
      fail(
        'plan/duplicate',
        node,
        `two operators are named '${node.name}' (the other at ${other.callSite ?? other.id}); names are the ids of their state, so each is given once`,
      );
    taken.set(node.name, node);
  }
  const unused = uniquely(new Set(taken.keys()));
  for (const node of plan.nodes) {
    const above = node.inputs.map((ref) => `${paths.get(ref.node)}${ref.port === 0 ? '' : `:${ref.port}`}`);
    const own = ownText[node.kind] as ((of: PlanNode) => unknown) | null;
    const id = node.name ?? unused(`${node.kind}-${hashText(JSON.stringify([node.kind, own?.(node) ?? null, above]))}`);
    ids.set(node.id, id);
    paths.set(node.id, own === null ? above.join('+') : id);
  }
  return ids;
}

/** Ids of operators: one that is its logical node has that node's id, split or not. */
export function operatorIds(ids: ReadonlyMap<string, string>): (rel: Rel) => string {
  const unused = uniquely(new Set(ids.values()));
  const given = new Set<string>();
  return (rel) => {
    const id = ids.get(rel.from.id)!;
    if (rel.role === 'main' && !given.has(id)) {
      given.add(id);
      return id;
    }
    return unused(`${id}.${rel.role}`);
  };
}

/** Gives each name once: `name`, `name-2`, `name-3`. */
function uniquely(taken: Set<string>): (name: string) => string {
  return (name) => {
    let unique = name;
    for (let i = 2; taken.has(unique); i++) unique = `${name}-${i}`;
    taken.add(unique);
    return unique;
  };
}

/** 64 bits of FNV-1a's idea in two halves, as eight letters and digits: short enough to read, long enough not to meet. */
function hashText(text: string): string {
  let high = 0x811c9dc5;
  let low = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ (code + i), 0x85ebca6b);
    low ^= low >>> 13;
  }
  return ((high >>> 0).toString(36) + (low >>> 0).toString(36)).padStart(8, '0').slice(-8);
}
