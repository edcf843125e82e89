/**
 * From a logical plan to what can be deployed: sources are looked at, the plan is checked and made physical, splits are
 * listed. Reads metadata, starts nothing. The coordinator, `explain` and the one-thread engine all begin here.
 */
import { sinkConnector, sourceConnector } from '../connectors/registry.ts';
import { withWhere } from '../core/base/errors.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import { type Planned, planPhysical } from '../core/plan/plan.ts';
import type { SinkConnector, SourceInfo, Split } from '../core/ports/connector.ts';
import type { SourceKey } from '../core/schedule/job.ts';
import type { JobOptions } from './messages.ts';

export interface Prepared {
  readonly planned: Planned;
  readonly splits: ReadonlyMap<SourceKey, readonly Split[]>;
  /** Bounded sources of a run that is forced to be a stream: they stay open when they have been read. */
  readonly idling: ReadonlySet<SourceKey>;
  /** Subtasks that read each source. */
  readonly readers: ReadonlyMap<SourceKey, number>;
  readonly estimatedRows: number | null;
}

/** Values that are no JSON, by id. Errors: none; an unknown id is undefined. */
export type Resources = ReadonlyMap<string, unknown>;

export async function plan(logical: Plan, options: JobOptions, resources: Resources): Promise<Planned> {
  const sources = new Map<string, SourceInfo>();
  const sinks = new Map<string, SinkConnector>();
  await Promise.all(
    logical.nodes.map(async (node) => {
      const where = { operator: node.name ?? node.kind, ...(node.callSite ? { callSite: node.callSite } : {}) };
      try {
        if (node.kind === 'source') {
          const connector = await sourceConnector(node.connector.kind);
          sources.set(node.id, await connector.describe(node.connector, (id) => resources.get(id)));
        } else if (node.kind === 'sink') {
          sinks.set(node.connector.kind, await sinkConnector(node.connector.kind));
        }
      } catch (error) {
        throw withWhere(error, where, 'source/failed');
      }
    }),
  );
  return planPhysical(logical, {
    parallelism: options.parallelism,
    mode: options.mode,
    sources,
    sinks: (spec, fields, updating) => sinks.get(spec.kind)!.describe(spec, fields, updating),
  });
}

export async function prepare(logical: Plan, options: JobOptions, resources: Resources): Promise<Prepared> {
  const planned = await plan(logical, options, resources);
  const splits = new Map<SourceKey, readonly Split[]>();
  const idling = new Set<SourceKey>();
  const readers = new Map<SourceKey, number>();
  let estimatedRows: number | null = 0;
  for (const { key, node, parallelism } of sourcesOf(planned.physical)) {
    const connector = await sourceConnector(node.connector.kind);
    const found = await connector.enumerate(node.connector, node.request, parallelism, (id) => resources.get(id));
    splits.set(key, found);
    readers.set(key, parallelism);
    if (options.mode === 'stream' && (await connector.describe(node.connector, (id) => resources.get(id))).bounded)
      idling.add(key);
    for (const split of found) {
      if (estimatedRows !== null)
        estimatedRows = split.estimatedRows === null ? null : estimatedRows + split.estimatedRows;
    }
  }
  return { planned, splits, idling, readers, estimatedRows };
}

/** Source operators of a plan: always operator 0 of their chain. */
function sourcesOf(physical: PhysicalPlan) {
  return physical.chains.flatMap((chain) => {
    const node = chain.operators[0]!.node;
    return node.kind === 'source' ? [{ key: sourceKey(chain.id), node, parallelism: chain.parallelism }] : [];
  });
}

export const sourceKey = (chain: number): SourceKey => `${chain}/0`;
