/**
 * A join as it was asked for becomes keys, filters and what is left: equalities between the sides are keys, conditions on
 * one side go before the join where that changes nothing, the rest stays in it, or behind it where matches are all that
 * comes out. Knows one node and its inputs.
 */
import { bindCondition } from '../expr/bind.ts';
import { canFail } from '../expr/functions.ts';
import { exprText } from '../expr/print.ts';
import type { Expr } from '../expr/tree.ts';
import { type Layout, layoutOf } from '../record/layout.ts';
import type { Field, Fields } from '../record/types.ts';
import { leafIndices, leavesOf, rowtimeIndex, type Schema } from './columns.ts';
import { columnExpr, columnsOf, conjunction, conjunctsOf, identity, moveColumns } from './expressions.ts';
import { residualOf, resultLayout, resultTime, wideOf, withinCondition } from './join-times.ts';
import { fail, whereOf } from './names.ts';
import type { JoinNode, JoinType } from './nodes.ts';
import type { RelBuilder, RelNode, RelRef } from './rel.ts';

/** By side: its rows come out also where they match none. */
const preserved: { readonly [T in JoinType]: readonly [boolean, boolean] } = {
  inner: [false, false],
  left: [true, false],
  right: [false, true],
  full: [true, true],
  semi: [false, false],
  anti: [true, false],
};

/**
 * The columns of a join. Its rows come when the last of their parts does, so they have no event time; but a join by equal
 * windows gives results of that window, with its time, where a side is sure to be there, and rows that are looked up keep theirs.
 */
export function joinSchema(node: JoinNode, left: Schema, right: Schema): Schema {
  const both = leavesOf(bothSides(left, right));
  const condition = bindCondition(node.condition, both, whereOf(node));
  if (node.lookup) {
    const { fields } = bothSides(left, right, [false, true]);
    const window = left.window && { ...left.window, column: `left.${left.window.column}` };
    return { fields, time: left.time, ...(window ? { window } : {}) };
  }
  checkTimes(node, left, right);
  const windowed = windowEnds(conjunctsOf(condition), left, right) !== null;
  const onlyLeft = node.type === 'semi' || node.type === 'anti';
  const [keepsLeft, keepsRight] = preserved[node.type];
  const { fields } = onlyLeft ? left : bothSides(left, right, [keepsRight, keepsLeft]);
  if (node.within || node.asOf) return { fields, time: true };
  const sure = sureSide(node.type);
  if (!windowed || sure === null) return { fields, time: false };
  const { column, spec } = [left, right][sure]!.window!;
  const name = onlyLeft ? column : `${sure === 0 ? 'left' : 'right'}.${column}`;
  return { fields, time: true, window: { column: name, spec } };
}

/** Event time that a join asks for. */
function checkTimes(node: JoinNode, left: Schema, right: Schema): void {
  if (node.asOf && !right.time) {
    fail(
      'plan/window',
      node,
      "the right side has no event time, so no version is known of a row's time; say .eventTime(column) of it, before its groupBy(…).keepLast(), or look up in a table as it is with lookupJoin",
    );
  }
  const without = [left, right].findIndex(({ time }) => !time);
  if (without < 0 || (!node.within && !node.asOf)) return;
  const asks = node.within ? 'within compares event time' : "a version is that of a row's event time";
  const side = without === 0 ? 'left' : 'right';
  fail(
    'plan/window',
    node,
    `${asks}, and the ${side} side has none here; say .eventTime(column) of it before the join`,
  );
}

/** The side of which every row that comes out has one. */
const sureSide = (type: JoinType): 0 | 1 | null => (type === 'full' ? null : type === 'right' ? 1 : 0);

/**
 * By side: the leaf of the window's end, where rows of both are results of windows and the condition asks for the same one;
 * null: they are joined by something else.
 */
function windowEnds(conjuncts: readonly Expr[], left: Schema, right: Schema): Pair<number> | null {
  if (!left.window || !right.window) return null;
  const count = leavesOf({ fields: left.fields, time: false }).length;
  const own = leafIndices(left, left.window.column)!;
  const other = leafIndices(right, right.window.column)!.map((leaf) => leaf + count);
  const equal = (bound: 0 | 1): boolean =>
    conjuncts.some((condition) => {
      if (condition.kind !== 'call' || condition.fn !== 'eq') return false;
      const leaves = condition.args.map((arg) => (arg.kind === 'column' ? arg.index : -1));
      return leaves.includes(own[bound]!) && leaves.includes(other[bound]!);
    });
  // Windows of one kind that end together have begun together, sessions apart.
  const alike =
    left.window.spec.kind !== 'session' && JSON.stringify(left.window.spec) === JSON.stringify(right.window.spec);
  return equal(1) && (alike || equal(0)) ? [own[1]!, other[1]! - count] : null;
}

function bothSides(left: Schema, right: Schema, nullable: readonly [boolean, boolean] = [false, false]): Schema {
  const side = (name: string, fields: Fields, i: 0 | 1): Field => ({
    name,
    type: { kind: 'ROW', fields },
    nullable: nullable[i],
  });
  return { fields: [side('left', left.fields, 0), side('right', right.fields, 1)], time: false };
}

type Pair<T> = readonly [T, T];

export function lowerJoin(
  node: JoinNode,
  inputs: readonly [RelRef, RelRef],
  [left, right]: Pair<Schema>,
  result: Schema,
  builder: RelBuilder,
): RelRef {
  const both = leavesOf(bothSides(left, right));
  const own: Pair<Layout> = [ownLeaves(builder.layout(inputs[0])), ownLeaves(builder.layout(inputs[1]))];
  const conjuncts = conjunctsOf(bindCondition(node.condition, both, whereOf(node)));
  const split = splitCondition(conjuncts, own[0].length, node);
  if (node.asOf && split.keys.length === 0)
    fail(
      'plan/type',
      node,
      'versions are of a key, and the condition has none; compare a column of the left side with one of the right, as in o.currency.eq(r.currency)',
    );
  if (node.lookup && split.keys.length < conjuncts.length)
    fail(
      'plan/type',
      node,
      'the key of a lookupJoin is computed from columns of the row, each part of it from one at least',
    );
  const ends = node.lookup || node.within || node.asOf ? null : windowEnds(conjuncts, left, right);

  const sides = ([0, 1] as const).map((side) => {
    const keys = split.keys.map((pair) => pair[side]);
    return prepared(node, inputs[side], own[side], keys, split.before[side], builder);
  });
  const timed = leavesOf(result);
  const outputs = ownLeaves(timed);
  const onlyLeft = node.type === 'semi' || node.type === 'anti';
  const times = sides.map(({ ref }) => rowtimeIndex(builder.layout(ref)));
  const wide = wideOf(node, own, times);
  const within = node.within ? withinCondition(node.within, wide) : [];
  const inside = [...split.inside.map(wide.moved), ...(node.type === 'inner' ? [] : within)];
  const behind = [...split.behind.map(wide.moved), ...(node.type === 'inner' ? within : [])];
  const timePair = [times[0]!, times[1]!] as const;
  const join: RelNode = {
    kind: 'join',
    type: node.type,
    keys: [sides[0]!.keys, sides[1]!.keys],
    output: [wide.leaves[0], onlyLeft ? [] : wide.leaves[1]],
    residual: residualOf(conjunction(inside), wide),
    updating: [false, false],
    ...(ends ? { windowEnd: ends } : {}),
    ...(node.lookup ? { lookup: true } : {}),
    ...(node.within ? { within: { times: timePair, ...node.within } } : {}),
    ...(node.asOf ? { asOf: { times: timePair, ...node.asOf } } : {}),
    on: split.keys
      .map(
        ([a, b]) =>
          `${exprText(a, both)} = ${exprText(
            moveColumns(b, (leaf) => leaf + own[0].length),
            both,
          )}`,
      )
      .join(' and '),
  };
  const refs = sides.map(({ ref }) => ref);
  const layout = resultLayout(node, outputs, wide);
  const joined = builder.add({ node: join, inputs: refs, outputs: [layout], from: node, role: 'main' });
  const filter = conjunction(behind);
  const sure = sureSide(node.type);
  const time =
    ends && sure !== null
      ? timeOf(outputs, sure === 0 ? ends[0] : own[0].length + ends[1])
      : result.time
        ? resultTime(node, layout, wide)
        : null;
  if (filter === null && time === null && layout.length === outputs.length) return joined;
  const columns = identity(layout).filter((_, i) => !wide.times.includes(i));
  const project = { kind: 'project', filter, columns: [...columns, ...(time === null ? [] : [time])] } as const;
  return builder.add({ node: project, inputs: [joined], outputs: [timed], from: node, role: 'result' });
}

/** The event time of a window's result: its last moment. */
function timeOf(layout: Layout, end: number): Expr {
  const last: Expr = { kind: 'literal', value: '1', type: { kind: 'INTERVAL', of: 'DAY_TIME' }, nullable: false };
  const { type } = layout[end]!;
  return { kind: 'call', fn: 'minus', args: [columnExpr(layout, end), last], type, nullable: false };
}

interface SplitCondition {
  /** Over each side's own leaves. */
  readonly keys: readonly Pair<Expr>[];
  /** Filters of each side, over its own leaves. */
  readonly before: Pair<Expr[]>;
  /** Over the leaves of both. */
  readonly inside: readonly Expr[];
  readonly behind: readonly Expr[];
}

function splitCondition(
  conjuncts: readonly Expr[],
  leftLeaves: number,
  { type, asOf }: Pick<JoinNode, 'type' | 'asOf'>,
): SplitCondition {
  const keys: Pair<Expr>[] = [];
  const before: [Expr[], Expr[]] = [[], []];
  const inside: Expr[] = [];
  const behind: Expr[] = [];
  const sideOf = (expr: Expr): 0 | 1 | null => {
    const leaves = [...columnsOf(expr)];
    if (leaves.length === 0) return null;
    if (leaves.every((leaf) => leaf < leftLeaves)) return 0;
    return leaves.every((leaf) => leaf >= leftLeaves) ? 1 : null;
  };
  const ownExpr = (expr: Expr, side: 0 | 1): Expr =>
    side === 0 ? expr : moveColumns(expr, (leaf) => leaf - leftLeaves);
  for (const condition of conjuncts) {
    if (condition.kind === 'call' && condition.fn === 'eq') {
      const [a, b] = condition.args as [Expr, Expr];
      const [sideA, sideB] = [sideOf(a), sideOf(b)];
      if (sideA !== null && sideB !== null && sideA !== sideB) {
        keys.push(sideA === 0 ? [a, ownExpr(b, 1)] : [b, ownExpr(a, 1)]);
        continue;
      }
    }
    const side = sideOf(condition);
    // A row of a side that is not preserved, and fails alone, is in no result; a condition that can raise must see matches only.
    // A version that fails is the row's version all the same.
    const isVersion = asOf !== undefined && side === 1;
    if (side !== null && !preserved[type][side] && !isVersion && !canFail(condition))
      before[side].push(ownExpr(condition, side));
    else if (type === 'inner') behind.push(condition);
    else inside.push(condition);
  }
  return { keys, before, inside, behind };
}

/** An input with the keys that must be computed behind its own leaves, and without rows that cannot match. */
function prepared(
  node: JoinNode,
  input: RelRef,
  own: Layout,
  keys: readonly Expr[],
  conditions: readonly Expr[],
  builder: RelBuilder,
): { readonly ref: RelRef; readonly keys: readonly number[] } {
  const computed = keys.filter((key) => key.kind !== 'column');
  const made = computed.map((key, i) => layoutOf([{ name: `$key${i}`, type: key.type, nullable: key.nullable }])[0]!);
  const leaves = keys.map((key) => (key.kind === 'column' ? key.index : own.length + computed.indexOf(key)));
  const filter = conjunction(conditions);
  if (filter === null && computed.length === 0) return { ref: input, keys: leaves };
  const before = builder.layout(input);
  const time = rowtimeIndex(before);
  const timed = time === null ? [] : [time];
  const columns = [
    ...own.map((_, i) => columnExpr(own, i)),
    ...computed,
    ...timed.map((leaf) => columnExpr(before, leaf)),
  ];
  const project = { kind: 'project', filter, columns } as const;
  const role = computed.length > 0 ? 'arguments' : 'columns';
  return {
    ref: builder.add({
      node: project,
      inputs: [input],
      outputs: [[...own, ...made, ...timed.map((leaf) => before[leaf]!)]],
      from: node,
      role,
    }),
    keys: leaves,
  };
}

function ownLeaves(layout: Layout): Layout {
  const time = rowtimeIndex(layout);
  return time === null ? layout : layout.slice(0, time);
}
