/**
 * Event time in joins that let it through: it stands behind the columns of its side, where conditions can compare it, until a projection
 * behind the join makes of both what the result has. Knows one join at a time.
 */
import { exprText } from '../expr/print.ts';
import type { Expr } from '../expr/tree.ts';
import type { Layout } from '../record/layout.ts';
import type { DataType } from '../record/types.ts';
import { columnExpr, columnsOf, moveColumns } from './expressions.ts';
import type { JoinNode } from './nodes.ts';
import type { JoinResidual } from './physical.ts';

type Pair<T> = readonly [T, T];

/** The columns of both sides, each with its event time behind them where the join lets it through. */
export interface Wide {
  readonly layout: Layout;
  /** By side: leaves of its input, in this order. */
  readonly leaves: Pair<readonly number[]>;
  /** Where the event time of each side stands; −1: it does not come through. */
  readonly times: Pair<number>;
  /** An expression over the columns of both sides alone. */
  readonly moved: (expr: Expr) => Expr;
}

/** `times`: by side, the leaf of its event time in the join's input. */
export function wideOf(node: JoinNode, own: Pair<Layout>, times: readonly (number | null)[]): Wide {
  const first = own[0].length;
  const through = [
    (node.within || node.asOf || node.lookup) && times[0] !== null ? [times[0]!] : [],
    node.within ? [times[1]!] : [],
  ] as const;
  const shift = through[0].length;
  const time = (name: string, side: 0 | 1): Layout =>
    through[side].map(() => ({ name, type: timestamp, nullable: false, storage: 'i64' }));
  const named = (of: string, side: 0 | 1): Layout => own[side].map((leaf) => ({ ...leaf, name: `${of}.${leaf.name}` }));
  const all = (layout: Layout): number[] => layout.map((_, i) => i);
  return {
    layout: [...named('left', 0), ...time('left.$time', 0), ...named('right', 1), ...time('right.$time', 1)],
    leaves: [
      [...all(own[0]), ...through[0]],
      [...all(own[1]), ...through[1]],
    ],
    times: [shift === 0 ? -1 : first, through[1].length === 0 ? -1 : first + shift + own[1].length],
    moved: (expr) => moveColumns(expr, (leaf) => (leaf < first ? leaf : leaf + shift)),
  };
}

/** What comes out of the join itself: `outputs`, with event time among them. */
export function resultLayout(node: JoinNode, outputs: Layout, { layout, leaves, times }: Wide): Layout {
  if (times[0] < 0) return outputs;
  const missing = [node.type === 'right' || node.type === 'full', node.type === 'left' || node.type === 'full'];
  const first = leaves[0].length - 1;
  const left = { ...layout[times[0]]!, nullable: missing[0]! };
  const right = times[1] < 0 || node.type === 'semi' || node.type === 'anti' ? [] : [layout[times[1]]!];
  const rest = outputs.slice(first);
  return [...outputs.slice(0, first), left, ...rest, ...right.map((leaf) => ({ ...leaf, nullable: missing[1]! }))];
}

/** Right event time minus left is between both. */
export function withinCondition({ fromMs, toMs }: { fromMs: number; toMs: number }, { layout, times }: Wide): Expr[] {
  const [left, right] = times.map((leaf) => columnExpr(layout, leaf)) as [Expr, Expr];
  return [call('gte', [right, plusMs(left, fromMs)], boolean), call('lte', [right, plusMs(left, toMs)], boolean)];
}

/**
 * The event time of what comes out: the later of its parts', which is when it came to be; of a row alone, the last moment at which its
 * match could have come. Rows that are looked up, in a table or among versions, keep theirs.
 */
export function resultTime({ type, within }: JoinNode, layout: Layout, { times }: Wide): Expr {
  const left = columnExpr(layout, times[0]);
  if (!within) return left;
  const leftAlone = plusMs(left, Math.max(0, within.toMs));
  if (type === 'semi' || type === 'anti') return leftAlone;
  const right = columnExpr(layout, times[1]);
  const rightAlone = plusMs(right, Math.max(0, -within.fromMs));
  const isNull = (of: Expr): Expr => ({ ...call('isNull', [of], boolean), nullable: false }) as Expr;
  const branches = [
    ...(right.nullable ? [{ when: isNull(right), then: leftAlone }] : []),
    ...(left.nullable ? [{ when: isNull(left), then: rightAlone }] : []),
    { when: call('gte', [left, right], boolean), then: left },
  ];
  return { kind: 'case', branches, otherwise: right, type: timestamp, nullable: false };
}

/** `condition` over the wide columns, as a join asks it of two rows. */
export function residualOf(condition: Expr | null, { layout, leaves }: Wide): JoinResidual | null {
  if (condition === null) return null;
  const read = [...columnsOf(condition)].sort((a, b) => a - b);
  const first = leaves[0].length;
  return {
    condition: moveColumns(condition, (leaf) => read.indexOf(leaf)),
    leaves: [
      read.filter((leaf) => leaf < first).map((leaf) => leaves[0][leaf]!),
      read.filter((leaf) => leaf >= first).map((leaf) => leaves[1][leaf - first]!),
    ],
    text: exprText(condition, layout),
  };
}

function plusMs(time: Expr, ms: number): Expr {
  if (ms === 0) return time;
  const by: Expr = { kind: 'literal', value: String(Math.abs(ms)), type: interval, nullable: false };
  return call(ms > 0 ? 'plus' : 'minus', [time, by], time.type);
}

const call = (fn: string, args: readonly Expr[], type: DataType): Expr => ({
  kind: 'call',
  fn,
  args,
  type,
  nullable: args.some(({ nullable }) => nullable),
});

const boolean: DataType = { kind: 'BOOLEAN' };
const timestamp: DataType = { kind: 'TIMESTAMP', precision: 3 };
const interval: DataType = { kind: 'INTERVAL', of: 'DAY_TIME' };
