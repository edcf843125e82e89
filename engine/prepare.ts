/**
 * From a logical plan to what can be deployed: sources are looked at, the plan is checked and made physical, splits are
 * listed. Reads metadata, starts nothing. The coordinator, `explain` and the one-thread engine all begin here.
 */
import { sinkConnector, sourceConnector } from '../connectors/registry.ts';
import { MillraceError, withWhere } from '../core/base/errors.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import { type Planned, planPhysical } from '../core/plan/plan.ts';
import type {
  ConnectorSpec,
  DiscoveryContext,
  ReadRequest,
  SinkConnector,
  SourceConnector,
  SourceInfo,
  Split,
  SplitDiscovery,
} from '../core/ports/connector.ts';
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
  /** Seed of the key hash: of the checkpoint that the job goes on from, or the options'. */
  readonly hashSeed: string;
  /** Sources that may go on finding splits while the job runs. */
  readonly discovering: readonly DiscoveringSource[];
  /** Names of sources whose rows are gone once they were read. */
  readonly unreplayable: readonly string[];
  /** Sources whose splits may never end. */
  readonly endless: readonly SourceKey[];
}

export interface DiscoveringSource {
  readonly key: SourceKey;
  readonly parallelism: number;
  /** Begins to look for splits; null: this place has all its splits. */
  start(context: DiscoveryContext): SplitDiscovery | null;
}

/** Values that are no JSON, by id. Errors: none; an unknown id is undefined. */
export type Resources = ReadonlyMap<string, unknown>;

export async function plan(logical: Plan, options: JobOptions, resources: Resources): Promise<Planned> {
  return (await planned(logical, options, resources)).planned;
}

async function planned(
  logical: Plan,
  options: JobOptions,
  resources: Resources,
): Promise<{ readonly planned: Planned; readonly unreplayable: readonly string[] }> {
  const sources = new Map<string, SourceInfo>();
  const sinks = new Map<string, SinkConnector>();
  const unreplayable: string[] = [];
  await Promise.all(
    logical.nodes.map(async (node) => {
      const where = { operator: node.name ?? node.kind, ...(node.callSite ? { callSite: node.callSite } : {}) };
      try {
        if (node.kind === 'source') {
          const connector = await sourceConnector(node.connector.kind);
          const info = await connector.describe(node.connector, (id) => resources.get(id));
          sources.set(node.id, info);
          if (info.replayable === false) unreplayable.push(node.name ?? node.connector.label);
        } else if (node.kind === 'sink') {
          sinks.set(node.connector.kind, await sinkConnector(node.connector.kind));
        }
      } catch (error) {
        throw withWhere(error, where, 'source/failed');
      }
    }),
  );
  const checkpointed = options.durable !== null;
  return {
    unreplayable,
    planned: planPhysical(logical, {
      parallelism: options.parallelism,
      mode: options.mode,
      sources,
      sinks: (spec, fields, updating) => sinks.get(spec.kind)!.describe(spec, fields, updating, checkpointed),
    }),
  };
}

/** `restored`: sources that a checkpoint knows are not looked into again: it has their splits. `nowMs`: the job's clock. */
export async function prepare(
  logical: Plan,
  options: JobOptions,
  resources: Resources,
  restored: { readonly sources: ReadonlySet<string> } | null = null,
  nowMs?: () => number,
): Promise<Prepared> {
  const { planned: made, unreplayable } = await planned(logical, options, resources);
  if (restored && unreplayable.length > 0) throw cannotGoOn(unreplayable);
  const splits = new Map<SourceKey, readonly Split[]>();
  const idling = new Set<SourceKey>();
  const readers = new Map<SourceKey, number>();
  const discovering: DiscoveringSource[] = [];
  const endless: SourceKey[] = [];
  let estimatedRows: number | null = 0;
  for (const { key, node, parallelism } of sourcesOf(made.physical)) {
    const connector = await sourceConnector(node.connector.kind);
    const { connector: spec, request } = node;
    const resource = (id: string): unknown => resources.get(id);
    readers.set(key, parallelism);
    const { bounded } = await connector.describe(spec, resource);
    if (!bounded) endless.push(key);
    if (looksOn(connector, spec, request, resource)) {
      discovering.push({ key, parallelism, start: (context) => connector.discover?.(spec, request, context) ?? null });
      splits.set(key, []);
      idling.add(key);
      estimatedRows = null;
      continue;
    }
    if (options.mode === 'stream' && bounded && !node.table) idling.add(key);
    const found = restored?.sources.has(key)
      ? []
      : await connector.enumerate(spec, request, parallelism, resource, nowMs);
    splits.set(key, found);
    for (const split of found) {
      if (estimatedRows !== null)
        estimatedRows = split.estimatedRows === null ? null : estimatedRows + split.estimatedRows;
    }
  }
  return {
    planned: made,
    splits,
    idling,
    readers,
    estimatedRows,
    hashSeed: options.hashSeed,
    discovering,
    unreplayable,
    endless,
  };
}

/** Whether the place goes on bringing splits: an enumerator is made, and asked nothing. */
function looksOn(
  connector: SourceConnector,
  spec: ConnectorSpec,
  request: ReadRequest,
  resource: (id: string) => unknown,
): boolean {
  const idle = {
    parallelism: 1,
    state: null,
    emit() {},
    fail() {},
    schedule: () => () => {},
    nowMs: () => 0,
    resource,
  };
  const discovery = connector.discover?.(spec, request, idle) ?? null;
  discovery?.close();
  return discovery !== null;
}

/** Source operators of a plan: always operator 0 of their chain. */
function sourcesOf(physical: PhysicalPlan) {
  return physical.chains.flatMap((chain) => {
    const { node, id } = chain.operators[0]!;
    return node.kind === 'source' ? [{ key: id, node, parallelism: chain.parallelism }] : [];
  });
}

function cannotGoOn(names: readonly string[]): MillraceError {
  return new MillraceError(
    'source/not-replayable',
    `the job cannot go on from its checkpoint: ${names.map((name) => `'${name}'`).join(', ')} cannot be read again from where it was (an iterable, a channel); begin with a new state directory, or feed it from files`,
  );
}
