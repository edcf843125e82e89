/**
 * Expressions as data. Two trees: `UnboundExpr` is what the API (and later SQL) says, by column names; `Expr` is what
 * `bind` makes of it against a layout: columns by leaf index, every node typed. Both are plain JSON.
 */
import type { DataType } from '../record/types.ts';

/**
 * A literal's value as JSON: BOOLEAN a boolean; INT and DATE (days) a number; BIGINT and TIMESTAMP (ticks of its own
 * precision) a decimal string; DECIMAL its text, `12.50`; DOUBLE a number or 'NaN', 'Infinity', '-Infinity', '-0'; VARCHAR a string; null is NULL.
 */
export type LiteralValue = boolean | number | string | null;

export type UnboundExpr =
  /** `path` reaches into ROWs: ['window', 'start']. */
  | { readonly kind: 'column'; readonly path: readonly string[] }
  /** Without a `type` the literal takes the type its neighbours ask for (a number beside a BIGINT is a BIGINT). */
  | { readonly kind: 'literal'; readonly value: LiteralValue; readonly type: DataType | null }
  /** `fn` is a name of the function registry (functions.ts): 'gt', 'plus', 'upper', … */
  | { readonly kind: 'call'; readonly fn: string; readonly args: readonly UnboundExpr[] }
  | { readonly kind: 'cast'; readonly arg: UnboundExpr; readonly type: DataType; readonly safe: boolean }
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: UnboundExpr; readonly then: UnboundExpr }[];
      readonly otherwise: UnboundExpr;
    }
  | {
      readonly kind: 'aggregate';
      readonly fn: AggregateName;
      readonly arg: UnboundExpr | null;
      readonly filter: UnboundExpr | null;
      readonly distinct: boolean;
    }
  /** Beside a row, an aggregate over rows up to it. */
  | {
      readonly kind: 'over';
      readonly of: UnboundExpr;
      readonly partitionBy: readonly UnboundExpr[];
      readonly orderBy: readonly UnboundExpr[];
      readonly frame: OverFrame;
    };

/** The rows that count, up to the row itself: `rows` and all its peers by `range`; from so many rows or milliseconds before, null: from the partition's first. */
export interface OverFrame {
  readonly unit: 'rows' | 'range';
  readonly preceding: number | null;
}

export type AggregateName = 'count' | 'sum' | 'min' | 'max' | 'avg';

/** A typed expression over the leaves of one layout. No aggregates: the planner has taken them out. */
export type Expr = (
  | { readonly kind: 'column'; readonly index: number }
  | { readonly kind: 'literal'; readonly value: LiteralValue }
  | { readonly kind: 'call'; readonly fn: string; readonly args: readonly Expr[] }
  | { readonly kind: 'cast'; readonly arg: Expr; readonly safe: boolean }
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: Expr; readonly then: Expr }[];
      readonly otherwise: Expr;
    }
) & { readonly type: DataType; readonly nullable: boolean };

/** One aggregate over columns of its input (the planner projects computed arguments into columns first). */
export interface AggregateCall {
  readonly fn: AggregateName;
  /** Leaf index of the argument; null for COUNT(*). */
  readonly arg: number | null;
  readonly argType: DataType | null;
  /** The argument as a person reads it: `n`, `price * amount`. For savepoints. */
  readonly argText?: string;
  /** Whether the argument may be NULL; absent: it may. Calls on what never is share one count. */
  readonly argNullable?: boolean;
  /** Leaf index of a BOOLEAN column: rows where it is not TRUE do not count (FILTER). */
  readonly filter: number | null;
  /** Of rows with equal arguments one counts. */
  readonly distinct?: true;
  /** Type of the result. */
  readonly type: DataType;
  readonly nullable: boolean;
}

/** The expression with other operands; aggregates and what stands over rows are left as they are. */
export function mapOperands(expr: UnboundExpr, map: (operand: UnboundExpr) => UnboundExpr): UnboundExpr {
  switch (expr.kind) {
    case 'call':
      return { ...expr, args: expr.args.map(map) };
    case 'cast':
      return { ...expr, arg: map(expr.arg) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map(({ when, then }) => ({ when: map(when), then: map(then) })),
        otherwise: map(expr.otherwise),
      };
    default:
      return expr;
  }
}
