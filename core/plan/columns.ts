/**
 * Columns between the logical view (fields, ROWs) and the physical one (leaves by index): finding them, binding them,
 * projecting them. It knows single nodes and never the plan.
 */
import { bind } from '../expr/bind.ts';
import type { Expr, UnboundExpr } from '../expr/tree.ts';
import {
  type Layout,
  type LayoutColumn,
  rowtimeColumn,
  rowtimeName,
  type StorageKind,
  storageOf,
} from '../record/layout.ts';
import { type DataType, type Field, type Fields, sameType } from '../record/types.ts';
import { fail, unknownColumn, whereOf } from './names.ts';
import type { PlanNode, ProjectNode, WindowSpec } from './nodes.ts';

/** The logical row type of one output, and whether the hidden event time goes with it. */
export interface Schema {
  readonly fields: Fields;
  readonly time: boolean;
  readonly window?: AttachedWindow | null;
}

/**
 * The column that holds the window each row is the final result of: event time is its end − 1 ms, and none of its rows
 * comes after the watermark has passed that. So groups and rankings by it are final then, too.
 */
export interface AttachedWindow {
  readonly column: string;
  readonly spec: WindowSpec;
}
/**
 * The leaves of a schema, `$rowtime` last. Types that have no storage yet get a place too: only if somebody reads such a
 * column (`checkReadable`) is it an error.
 */
export function leavesOf(schema: Schema): Layout {
  const leaves: LayoutColumn[] = [];
  const visit = (fields: Fields, prefix: string, nullable: boolean): void => {
    for (const field of fields) {
      const name = prefix + field.name;
      if (field.type.kind === 'ROW') visit(field.type.fields, `${name}.`, nullable || field.nullable);
      else
        leaves.push({
          name,
          type: field.type,
          nullable: nullable || field.nullable,
          storage: storageOrView(field.type),
        });
    }
  };
  visit(schema.fields, '', false);
  return schema.time ? [...leaves, rowtimeColumn] : leaves;
}

function storageOrView(type: DataType): StorageKind {
  try {
    return storageOf(type);
  } catch {
    return 'view';
  }
}

/** Leaf indices of a column; several for a ROW. A dotted name reaches into one. Null: no such column. */
export function leafIndices(schema: Schema, column: string): number[] | null {
  const leaves = leavesOf(schema);
  const found = leaves.flatMap((leaf, i) => (leaf.name === column || leaf.name.startsWith(`${column}.`) ? [i] : []));
  return found.length > 0 && !column.startsWith('$') ? found : null;
}

/** Leaf indices of columns that must exist. `use` says what they are: `key`, `order column`. */
export function requireLeaves(node: PlanNode, schema: Schema, columns: readonly string[], use: string): number[] {
  return columns.flatMap((name) => leafIndices(schema, name) ?? unknownColumn(node, name, schema.fields, use));
}

/** One output column: its logical type, and an expression for every leaf of it. */
export interface BoundColumn {
  readonly field: Field;
  readonly leaves: readonly Expr[];
}

/** Binds a named column; a reference to a ROW gives all its leaves. */
export function bindColumn(
  node: PlanNode,
  name: string,
  expr: UnboundExpr,
  fields: Fields,
  layout: Layout,
): BoundColumn {
  if (expr.kind === 'column') {
    const field = fieldAt(fields, expr.path);
    if (field?.type.kind === 'ROW') {
      const prefix = `${expr.path.join('.')}.`;
      const leaves = layout.flatMap((leaf, index): Expr[] =>
        leaf.name.startsWith(prefix) ? [{ kind: 'column', index, type: leaf.type, nullable: leaf.nullable }] : [],
      );
      return { field: { name, type: field.type, nullable: field.nullable }, leaves };
    }
  }
  const bound = bind(expr, layout, whereOf(node));
  return { field: { name, type: bound.type, nullable: bound.nullable }, leaves: [bound] };
}

/** The field at a path into ROWs; nullable where any part of the way is. */
export function fieldAt(fields: Fields, path: readonly string[]): Field | undefined {
  let field: Field | undefined;
  let among: Fields = fields;
  let nullable = false;
  for (const name of path) {
    field = among.find((f) => f.name === name);
    if (!field) return undefined;
    nullable ||= field.nullable;
    among = field.type.kind === 'ROW' ? field.type.fields : [];
  }
  return field && { ...field, nullable };
}

/** The columns of a `select`, `with`, `pick` or `drop`, in the order in which they come out. */
export function projectColumns(node: ProjectNode, schema: Schema): readonly BoundColumn[] {
  const layout = leavesOf(schema);
  const twice = firstDuplicate(node.columns.map((column) => column.name));
  if (twice !== null) fail('plan/duplicate', node, `column '${twice}' is made twice; give one of them another name`);
  for (const name of node.dropped) {
    if (!schema.fields.some((field) => field.name === name)) unknownColumn(node, name, schema.fields, 'dropped column');
  }
  const made = new Map(
    node.columns.map((c) => [c.name, () => bindColumn(node, c.name, c.expr, schema.fields, layout)] as const),
  );
  const result: BoundColumn[] = [];
  if (node.keepOthers || node.dropped.length > 0) {
    for (const field of schema.fields) {
      if (node.dropped.includes(field.name)) continue;
      const replacement = made.get(field.name);
      made.delete(field.name);
      result.push(
        replacement?.() ?? bindColumn(node, field.name, { kind: 'column', path: [field.name] }, schema.fields, layout),
      );
    }
  }
  for (const make of made.values()) result.push(make());
  if (result.length === 0) fail('plan/type', node, 'no column is left; keep or make one');
  return result;
}

export function firstDuplicate(names: readonly string[]): string | null {
  return names.find((name, i) => names.indexOf(name) !== i) ?? null;
}

/** Index of the hidden event time, or null. */
export function rowtimeIndex(layout: Layout): number | null {
  return layout.at(-1)?.name === rowtimeName ? layout.length - 1 : null;
}

/** The same leaves in the same order, names and nullability included. */
export function sameLayout(a: Layout, b: Layout): boolean {
  return a.length === b.length && a.every((leaf, i) => sameLeaf(leaf, b[i]!));
}

function sameLeaf(a: LayoutColumn, b: LayoutColumn): boolean {
  return a.name === b.name && a.nullable === b.nullable && a.storage === b.storage && sameType(a.type, b.type);
}
