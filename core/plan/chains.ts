/**
 * Placed operators become chains and edges: an operator without an exchange joins its producer's chain, every other one
 * begins a chain of its own. So a chain is a tree, and only its first operator reads edges.
 */

import type { PlacedRel } from './distribute.ts';
import { nodeName } from './names.ts';
import type { Chain, ChainOperator, Edge, PhysicalPlan, Target } from './physical.ts';
import type { Rel } from './rel.ts';

interface OpenChain {
  readonly id: number;
  readonly first: PlacedRel;
  readonly members: PlacedRel[];
  /** Edge ids by port. */
  readonly inputs: number[][];
}

/** `idOf` gives each operator its stable id. */
export function chainsOf(
  name: string,
  bounded: boolean,
  placed: readonly PlacedRel[],
  idOf: (rel: Rel) => string,
): PhysicalPlan {
  const open: OpenChain[] = [];
  const at: { chain: OpenChain; index: number; targets: Target[][] }[] = [];
  const edges: Edge[] = [];
  for (const rel of placed) {
    const fused =
      rel.producers.length === 1 && rel.producers[0]!.exchange === null ? at[rel.producers[0]!.ref.rel]! : null;
    const chain = fused?.chain ?? { id: open.length, first: rel, members: [], inputs: [] };
    if (!fused) open.push(chain);
    const index = chain.members.push(rel) - 1;
    at.push({ chain, index, targets: rel.outputs.map(() => []) });
    for (const { ref, exchange, port } of rel.producers) {
      const from = at[ref.rel]!;
      if (exchange === null) {
        from.targets[ref.port]!.push({ kind: 'operator', index, port });
        continue;
      }
      const id = edges.length;
      const producer = placed[ref.rel]!;
      edges.push({
        id,
        from: { chain: from.chain.id, operator: from.index, port: ref.port },
        to: { chain: chain.id, port },
        exchange,
        layout: producer.outputs[ref.port]!,
        updating: producer.changes[ref.port] === 'all',
        ...(producer.updates === 'after' && producer.changes[ref.port] === 'all' ? { withoutBefore: true } : {}),
        ...(isUntimed(rel, port) ? { untimed: true } : {}),
      });
      from.targets[ref.port]!.push({ kind: 'edge', edge: id });
      while (chain.inputs.length <= port) chain.inputs.push([]);
      chain.inputs[port]!.push(id);
    }
  }
  const operators = placed.map(
    (rel, i): ChainOperator => ({
      node: rel.node,
      id: idOf(rel),
      name: operatorName(rel),
      callSite: rel.from.callSite,
      outputs: rel.outputs,
      targets: at[i]!.targets,
    }),
  );
  const chains = open.map(
    ({ id, first, members, inputs }): Chain => ({
      id,
      parallelism: first.placement.parallelism,
      place: first.placement.place,
      operators: members.map((rel) => operators[placed.indexOf(rel)]!),
      inputs,
    }),
  );
  return { version: 1, name, chains, edges, bounded };
}

/** An input without event time beside those that have it. */
function isUntimed({ node }: PlacedRel, port: number): boolean {
  if (node.kind === 'join' && node.lookup) return port === 1;
  return node.kind === 'process' && node.timed && node.ports[port]!.rowtime === null;
}

const roleNames: Readonly<Record<Rel['role'], string>> = {
  main: '',
  arguments: ': arguments',
  result: ': result',
  time: ': time',
  partial: ', partial',
  columns: ': columns',
  upserts: ': upserts',
  filter: ': filter',
};

export function operatorName(rel: Rel): string {
  return nodeName(rel.from) + roleNames[rel.role];
}
