/** Logical plans by hand, for tests: the shape that the API makes, without the API. */
import type { AggregateName, UnboundExpr } from '../../core/expr/tree.ts';
import type { Plan, PlanNode, WindowSpec } from '../../core/plan/nodes.ts';
import { type Planned, type PlanOptions, planPhysical } from '../../core/plan/plan.ts';
import type { SinkInfo, SourceInfo } from '../../core/ports/connector.ts';
import type { DataType, Field, Fields } from '../../core/record/types.ts';

export const types = {
  boolean: { kind: 'BOOLEAN' },
  int: { kind: 'INT' },
  bigint: { kind: 'BIGINT' },
  double: { kind: 'DOUBLE' },
  string: { kind: 'VARCHAR' },
  date: { kind: 'DATE' },
  timestamp3: { kind: 'TIMESTAMP', precision: 3 },
  timestamp6: { kind: 'TIMESTAMP', precision: 6 },
} as const satisfies Record<string, DataType>;

export const field = (name: string, type: DataType, nullable = false): Field => ({ name, type, nullable });
export const column = (...path: string[]): UnboundExpr => ({ kind: 'column', path });
export const literal = (value: boolean | number | string | null): UnboundExpr => ({
  kind: 'literal',
  value,
  type: null,
});
export const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
export const aggregate = (fn: AggregateName, arg: UnboundExpr | null = null, filter: UnboundExpr | null = null): UnboundExpr => ({
  kind: 'aggregate', fn, arg, filter, distinct: false,
}); // biome-ignore format: one line is enough

type Kinds = PlanNode['kind'];
type Own<K extends Kinds> = Omit<Extract<PlanNode, { kind: K }>, 'id' | 'name' | 'callSite' | 'inputs' | 'kind'>;
export interface Ref {
  readonly node: string;
  readonly port: number;
}

/** Collects nodes; each method answers a reference to its main output. */
export class PlanBuilder {
  readonly nodes: PlanNode[] = [];
  readonly sources = new Map<string, SourceInfo>();

  add<K extends Kinds>(kind: K, inputs: readonly Ref[], own: Own<K>, name: string | null = null): Ref {
    const id = `n${this.nodes.length}`;
    this.nodes.push({
      kind,
      id,
      name,
      callSite: `job.ts:${this.nodes.length + 1}`,
      inputs,
      ...own,
    } as unknown as PlanNode);
    return { node: id, port: 0 };
  }

  source(fields: Fields, info: Partial<SourceInfo> = {}, schema: Fields | null = null, label = 'input'): Ref {
    const ref = this.add('source', [], {
      connector: { kind: 'test', label, options: {} },
      schema,
      bounded: info.bounded ?? true,
    });
    this.sources.set(ref.node, { fields, bounded: true, estimatedRows: null, place: 'slot', notes: [], ...info });
    return ref;
  }

  filter(input: Ref, condition: UnboundExpr): Ref {
    return this.add('filter', [input], { condition });
  }

  select(input: Ref, columns: Record<string, UnboundExpr>): Ref {
    return this.add('project', [input], { columns: named(columns), keepOthers: false, dropped: [] });
  }

  with(input: Ref, columns: Record<string, UnboundExpr>): Ref {
    return this.add('project', [input], { columns: named(columns), keepOthers: true, dropped: [] });
  }

  eventTime(input: Ref, column: string, outOfOrdernessMs = 0): Ref {
    return this.add('eventTime', [input], { column, outOfOrdernessMs, idleAfterMs: null });
  }

  group(
    input: Ref,
    keys: readonly (string | null)[],
    columns: Record<string, UnboundExpr>,
    window: WindowSpec | null = null,
    allowedLatenessMs = 0,
  ): Ref {
    return this.add('aggregate', [input], { keys, window, columns: named(columns), allowedLatenessMs });
  }

  topN(
    input: Ref,
    partitionBy: readonly string[],
    n: number,
    by: readonly string[],
    rankAs: string | null = null,
  ): Ref {
    return this.add('topN', [input], { partitionBy, by: order(by), n, using: 'ROW_NUMBER', rankAs });
  }

  sort(input: Ref, ...by: string[]): Ref {
    return this.add('sort', [input], { by: order(by) });
  }

  sink(input: Ref, kind = 'test', schema: Fields | null = null): Ref {
    return this.add('sink', [input], { connector: { kind, label: 'out', options: {} }, schema });
  }

  plan(...ends: Ref[]): Plan {
    return {
      version: 1,
      name: 'test',
      nodes: this.nodes,
      outputs: ends.map((end, i) => ({ name: i === 0 ? 'result' : `result${i}`, node: end.node })),
    };
  }

  /** Plans it: every sink of kind `caller` is on the caller's thread, `file` has one writer, `append` takes only inserts. */
  physical(ends: readonly Ref[], options: Partial<PlanOptions> = {}): Planned {
    return planPhysical(this.plan(...ends), {
      parallelism: 2,
      mode: null,
      sources: this.sources,
      sinks: (spec) => sinkInfo(spec.kind),
      ...options,
    });
  }
}

export function sinkInfo(kind: string): SinkInfo {
  return {
    accepts: kind === 'append' ? 'insert' : 'all',
    parallelismMax: kind === 'file' ? 1 : 1_000,
    place: kind === 'caller' ? 'caller' : 'slot',
  };
}

export const tumble = (sizeMs: number): WindowSpec => ({ kind: 'tumble', sizeMs, offsetMs: 0 });

function named(columns: Record<string, UnboundExpr>): { name: string; expr: UnboundExpr }[] {
  return Object.entries(columns).map(([name, expr]) => ({ name, expr }));
}

/** `-delay` is descending. */
function order(by: readonly string[]): { column: string; descending: boolean }[] {
  return by.map((name) =>
    name.startsWith('-') ? { column: name.slice(1), descending: true } : { column: name, descending: false },
  );
}
