/**
 * What columns come out of every logical node, by port, and whether its rows carry event time. Names and types are
 * checked here, where they are first met; regimes and changes are `checks.ts`'s. Binding is the expression room's.
 */
import { bindCondition } from '../expr/bind.ts';
import type { SourceInfo } from '../ports/connector.ts';
import { type DataType, type Field, type Fields, sameType, typeName, windowType } from '../record/types.ts';
import {
  type AttachedWindow,
  type BoundColumn,
  fieldAt,
  firstDuplicate,
  leafIndices,
  leavesOf,
  projectColumns,
  requireLeaves,
  type Schema,
} from './columns.ts';
import { deadLetterSchema, onErrorOf } from './dead-letters.ts';
import { joinSchema } from './join.ts';
import { fail, fieldTypeText, nearest, unknownColumn, whereOf } from './names.ts';
import type {
  AggregateNode,
  NodeRef,
  Plan,
  PlanNode,
  PlanNodeKind,
  ProcessNode,
  SinkNode,
  SourceNode,
} from './nodes.ts';
import { splitAggregates } from './rules/split-aggregates.ts';
import { splitOver } from './rules/split-over.ts';

/** Schemas by node id, then by port. */
export type Schemas = ReadonlyMap<string, readonly Schema[]>;

/** Errors: `plan/unknown-column`, `plan/type`, `plan/duplicate`, `plan/window`, `schema/mismatch`. */
export function schemasOf(plan: Plan, sources: ReadonlyMap<string, SourceInfo>): Schemas {
  const schemas = new Map<string, readonly Schema[]>();
  const at = (ref: NodeRef): Schema => schemas.get(ref.node)![ref.port]!;
  for (const node of plan.nodes) {
    const rule = rules[node.kind] as SchemaRule<PlanNode>;
    schemas.set(node.id, rule(node, node.inputs.map(at), sources));
  }
  return schemas;
}

export function inputSchemas(node: PlanNode, schemas: Schemas): Schema[] {
  return node.inputs.map((ref) => schemas.get(ref.node)![ref.port]!);
}

/** For each field of the first input, its index in every other input: unions go by name. */
export function unionFields(node: PlanNode, inputs: readonly Schema[]): Fields {
  const first = inputs[0]!;
  return first.fields.map((field) => {
    let nullable = field.nullable;
    inputs.forEach((input, i) => {
      const other = input.fields.find((f) => f.name === field.name);
      if (!other) {
        const names = input.fields.map((f) => f.name);
        fail(
          'schema/mismatch',
          node,
          `input ${i + 1} has no column '${field.name}' as input 1 has; ${nearest(field.name, names)} Bring both sides to the same columns with select`,
        );
      }
      if (!sameType(other.type, field.type)) {
        fail(
          'schema/mismatch',
          node,
          `column '${field.name}' is ${typeName(field.type)} in input 1 and ${typeName(other.type)} in input ${i + 1}; cast one of them first`,
        );
      }
      const extra = input.fields.find((f) => !first.fields.some((own) => own.name === f.name));
      if (extra) {
        fail(
          'schema/mismatch',
          node,
          `input ${i + 1} has a column '${extra.name}' that input 1 has not; pick the same columns on both sides`,
        );
      }
      nullable ||= other.nullable;
    });
    return { ...field, nullable };
  });
}

type SchemaRule<N extends PlanNode> = (
  node: N,
  inputs: readonly Schema[],
  sources: ReadonlyMap<string, SourceInfo>,
) => readonly Schema[];

const rules: { [K in PlanNodeKind]: SchemaRule<Extract<PlanNode, { kind: K }>> } = {
  source: (node, _inputs, sources) => {
    const read: Schema = { fields: sourceFields(node, sources.get(node.id)!), time: false };
    if (node.key) requireLeaves(node, read, node.key, 'a key');
    return [read, ...errorSchemas(node)];
  },
  eventTime: (node, [input]) => {
    const [leaf] = requireLeaves(node, input!, [node.column], 'event time');
    const type = leavesOf(input!)[leaf!]!.type;
    if (type.kind !== 'TIMESTAMP') {
      fail(
        'plan/type',
        node,
        `event time '${node.column}' is ${typeName(type)}; it must be a TIMESTAMP: cast it in a with before eventTime`,
      );
    }
    return [{ fields: input!.fields, time: true, window: null }];
  },
  filter: (node, [input]) => {
    bindCondition(node.condition, leavesOf(input!), whereOf(node));
    return [input!];
  },
  project: (node, [input]) => {
    const columns = projectColumns(node, input!);
    const window = windowAfter(input!, columns);
    return [{ fields: columns.map((c) => c.field), time: input!.time, window }];
  },
  map: (node, [input]) => {
    unique(node, node.schema);
    // A mapBatch of rows with event time gives one row for each (its operator holds it to that).
    return [{ fields: node.schema, time: input!.time }, ...errorSchemas(node)];
  },
  union: (node, inputs) => {
    const windows = new Set(inputs.map((input) => JSON.stringify(input.window ?? null)));
    const window = windows.size === 1 ? (inputs[0]!.window ?? null) : null;
    return [{ fields: unionFields(node, inputs), time: inputs.every((input) => input.time), window }];
  },
  aggregate: (node, [input]) => [aggregateSchema(node, input!), input!],
  process: (node, inputs) => [...processSchemas(node, inputs), ...errorSchemas(node)],
  join: (node, [left, right]) => [joinSchema(node, left!, right!)],
  distinct: (_node, [input]) => [{ fields: input!.fields, time: false }],
  sort: (node, [input]) => {
    requireLeaves(
      node,
      input!,
      node.by.map((key) => key.column),
      'order column',
    );
    return [input!];
  },
  limit: (_node, [input]) => [input!],
  topN: (node, [input]) => {
    requireLeaves(node, input!, node.partitionBy, 'key');
    requireLeaves(
      node,
      input!,
      node.by.map((key) => key.column),
      'order column',
    );
    if (node.rankAs === null) return [input!];
    const rank: Field = { name: node.rankAs, type: { kind: 'BIGINT' }, nullable: false };
    const fields = [...input!.fields, rank];
    unique(node, fields);
    return [{ ...input!, fields }];
  },
  toChangelog: (node, [input]) => {
    const fields = [...input!.fields, kindField];
    unique(node, fields);
    return [{ fields, time: input!.time, window: null }];
  },
  fromChangelog: (node, [input]) => {
    const kinds = input!.fields.find(({ name }) => name === kindField.name);
    if (kinds?.type.kind !== 'VARCHAR') {
      fail(
        'plan/type',
        node,
        `rows say in a VARCHAR column 'row_kind' what they are (+I, -U, +U, -D); ${
          kinds
            ? `here it is ${typeName(kinds.type)}`
            : nearest(
                kindField.name,
                input!.fields.map(({ name }) => name),
              )
        }`,
      );
    }
    if (node.key.includes(kindField.name))
      fail('plan/type', node, `'row_kind' says what a row is and cannot be its key`);
    requireLeaves(node, input!, node.key, 'key');
    return [{ fields: input!.fields.filter((field) => field !== kinds), time: false }];
  },
  over: (node, [input]) => {
    const fields = [...input!.fields, ...splitOver(node, input!).columns];
    unique(node, fields);
    return [{ ...input!, fields }];
  },
  sink: (node, [input]) => {
    const fields = sinkFields(node, input!);
    requireLeaves(node, { fields, time: false }, node.connector.upsertKey ?? [], 'key');
    return [{ fields, time: sinkTime(node, input!) }];
  },
};

/** What a row of a changelog is. */
const kindField: Field = { name: 'row_kind', type: { kind: 'VARCHAR' }, nullable: false };

const errorSchemas = (node: PlanNode): readonly Schema[] => (onErrorOf(node) === 'side' ? [deadLetterSchema] : []);

function aggregateSchema(node: AggregateNode, input: Schema): Schema {
  const windows = node.keys.filter((key) => key === null).length;
  if (windows > 1) {
    fail(
      'plan/window',
      node,
      `there are ${windows} windows in one key; group by one window, then group its results by the other`,
    );
  }
  for (const key of node.keys) {
    if (key !== null && leafIndices(input, key) === null) {
      if (key === 'window') {
        fail(
          'plan/window',
          node,
          `there is no column 'window' to group by; group by a window first, as in groupBy('key', tumble('1 minute'))`,
        );
      }
      unknownColumn(node, key, input.fields, 'key');
    }
  }
  const keys = node.keys.map((key): Field => {
    if (key === null) return { name: 'window', type: windowType, nullable: false };
    return { ...fieldAt(input.fields, key.split('.'))!, name: key };
  });
  const columns = splitAggregates(node, input).columns.map((column) => column.field);
  const fields = [...keys, ...columns];
  unique(node, fields);
  if (fields.length === 0)
    fail('plan/type', node, 'neither keys nor columns: there is nothing to give; ask for at least one aggregate');
  const attached = attachedWindow(node, input);
  if (attached) return { fields, time: true, window: attached };
  // Corrected results come after their window has passed.
  const timed = node.window !== null && node.window.time !== 'processing';
  const window = timed && node.allowedLatenessMs === 0 ? { column: 'window', spec: node.window! } : null;
  return { fields, time: timed, window };
}

function processSchemas(node: ProcessNode, inputs: readonly Schema[]): readonly Schema[] {
  const first = node.ports.findIndex((port) => port.keys !== null);
  if (first < 0) fail('plan/type', node, 'all inputs are broadcast: nothing has a key; give one of them .keyBy(…)');
  const wanted = keyFields(node, first, inputs[first]!);
  node.ports.forEach((port, i) => {
    if (port.keys === null || i === first) return;
    const own = keyFields(node, i, inputs[i]!);
    const name = node.ports[first]!.name;
    if (own.length !== wanted.length)
      fail(
        'plan/type',
        node,
        `'${name}' is keyed by ${wanted.length} columns and '${port.name}' by ${own.length}; equal keys must meet: key all inputs by the same number of columns`,
      );
    own.forEach((field, k) => {
      if (sameType(field.type, wanted[k]!.type)) return;
      fail(
        'plan/type',
        node,
        `key column '${field.name}' of '${port.name}' is ${typeName(field.type)}, but '${wanted[k]!.name}' of '${name}' is ${typeName(wanted[k]!.type)}; cast one of them in a with before keyBy`,
      );
    });
  });
  const keyed = inputs.filter((_, i) => node.ports[i]!.keys !== null);
  const time = keyed.every((input) => input.time);
  const outputs = [node.output ?? [], ...node.side.map(({ schema }) => schema)];
  for (const fields of outputs) unique(node, fields);
  return outputs.map((fields) => ({ fields, time }));
}

/** The key of input `port` as its handler sees it: one field per column. */
export function keyFields(node: ProcessNode, port: number, input: Schema): Fields {
  const keys = node.ports[port]!.keys ?? [];
  requireLeaves(node, input, keys, 'key');
  return keys.map((key) => ({ ...fieldAt(input.fields, key.split('.'))!, name: key }));
}

/** The window of the rows that an aggregate without a window of its own groups by: its results are final with it. */
export function attachedWindow(node: AggregateNode, input: Schema): AttachedWindow | null {
  return node.window === null && input.window && node.keys.includes(input.window.column) ? input.window : null;
}

/** Where the window goes under a projection: a column that is it. */
function windowAfter(input: Schema, columns: readonly BoundColumn[]): AttachedWindow | null {
  if (!input.window) return null;
  const leaves = leafIndices(input, input.window.column)!;
  const same = columns.find(
    (c) =>
      c.field.type.kind === 'ROW' &&
      c.leaves.length === 2 &&
      c.leaves.every((e, i) => e.kind === 'column' && e.index === leaves[i]),
  );
  return same ? { column: same.field.name, spec: input.window.spec } : null;
}

function unique(node: PlanNode, fields: Fields): void {
  const twice = firstDuplicate(fields.map((field) => field.name));
  if (twice !== null) fail('plan/duplicate', node, `there are two columns '${twice}'; give one of them another name`);
}

/** The declared schema is a checked cast of the place's own columns. */
function sourceFields(node: SourceNode, info: SourceInfo): Fields {
  if (node.schema === null) {
    unique(node, info.fields);
    return info.fields;
  }
  unique(node, node.schema);
  for (const field of node.schema) {
    const own = info.fields.find((f) => f.name === field.name);
    if (!own) {
      const near = nearest(
        field.name,
        info.fields.map((f) => f.name),
      );
      fail(
        'plan/unknown-column',
        node,
        `the schema declares '${field.name}', but ${node.connector.label} has no such column; ${near}`,
      );
    }
    if (!castable(own.type, field.type)) {
      fail(
        'schema/mismatch',
        node,
        `column '${field.name}' of ${node.connector.label} is ${typeName(own.type)}, the schema declares ${fieldTypeText(field.type, field.nullable)}; declare it as it is and cast it in a select`,
      );
    }
  }
  return node.schema;
}

const numeric: ReadonlySet<DataType['kind']> = new Set<DataType['kind']>([
  'TINYINT',
  'SMALLINT',
  'INT',
  'BIGINT',
  'FLOAT',
  'DOUBLE',
  'DECIMAL',
]);
const temporal: ReadonlySet<DataType['kind']> = new Set<DataType['kind']>(['DATE', 'TIMESTAMP', 'TIMESTAMP_LTZ']);

/** Whether a source may be asked to read `from` as `to`; each value is checked when it is read. */
export function castable(from: DataType, to: DataType): boolean {
  if (sameType(from, to) || from.kind === to.kind) return true;
  if (numeric.has(from.kind) && numeric.has(to.kind)) return true;
  if (temporal.has(from.kind) && temporal.has(to.kind)) return true;
  return from.kind === 'VARCHAR' && temporal.has(to.kind);
}

/** Whether the sink is told event time. Errors: `plan/unsupported` where the rows have none. */
function sinkTime(node: SinkNode, input: Schema): boolean {
  if (node.connector.eventTime !== true) return false;
  if (input.time) return true;
  return fail(
    'plan/unsupported',
    node,
    'partitions are marked as event time passes them, and the rows have none here; say .eventTime(column), or leave partitionCommit out',
  );
}

/** Rows must fit the sink's schema, by name: same types, or wider ones; no null into a column that forbids it. */
function sinkFields(node: SinkNode, input: Schema): Fields {
  if (node.schema === null) return input.fields;
  for (const field of node.schema) {
    const own = input.fields.find((f) => f.name === field.name);
    if (!own) {
      fail(
        'schema/mismatch',
        node,
        `the sink wants a column '${field.name}' that the rows do not have; ${nearest(
          field.name,
          input.fields.map((f) => f.name),
        )}`,
      );
    }
    if (!sameType(own.type, field.type) && !widens(own.type, field.type)) {
      fail(
        'schema/mismatch',
        node,
        `column '${field.name}' is ${typeName(own.type)}, the sink takes ${typeName(field.type)}; cast it in a select before the sink`,
      );
    }
    if (own.nullable && !field.nullable) {
      fail(
        'schema/mismatch',
        node,
        `column '${field.name}' may be NULL, the sink takes no NULL there; use coalesce, or filter such rows out`,
      );
    }
  }
  const extra = input.fields.find((f) => !node.schema!.some((field) => field.name === f.name));
  if (extra) {
    fail(
      'schema/mismatch',
      node,
      `the sink's schema has no column '${extra.name}'; drop it with .drop('${extra.name}') or add it to the schema`,
    );
  }
  return node.schema;
}

const widerKinds: Readonly<Record<string, readonly DataType['kind'][]>> = {
  INT: ['BIGINT', 'DOUBLE'],
  BIGINT: ['DOUBLE'],
  TIMESTAMP: ['TIMESTAMP'],
};

function widens(from: DataType, to: DataType): boolean {
  if (from.kind === 'TIMESTAMP' && to.kind === 'TIMESTAMP') return from.precision <= to.precision;
  return from.kind !== 'TIMESTAMP' && (widerKinds[from.kind]?.includes(to.kind) ?? false);
}
