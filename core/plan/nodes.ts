/**
 * The logical plan: what was asked for, as plain JSON, by logical column names and unbound expressions. The API (and
 * later SQL) makes it; the planner checks, rewrites and turns it into chains (physical.ts). Nodes are frozen, in
 * topological order; equal sub-plans are one node.
 */

import type { OverFrame, UnboundExpr } from '../expr/tree.ts';
import type { ConnectorSpec } from '../ports/connector.ts';
import type { Fields } from '../record/types.ts';
import type { WindowSpec } from '../time/windows.ts';
import type { OnError } from './dead-letters.ts';
import type { StateSpec } from './states.ts';

export type { WindowSpec };

export interface Plan {
  readonly version: 1;
  readonly name: string;
  readonly nodes: readonly PlanNode[];
  /** The job's ends, in the order they were returned; a job that returns one end has one, named `result`. */
  readonly outputs: readonly { readonly name: string; readonly node: string }[];
}

/** Output `port` of a node: 0 the main one, 1 the first side output. */
export interface NodeRef {
  readonly node: string;
  readonly port: number;
}

interface NodeHead {
  /** `n0`, `n1`, … by position of construction. */
  readonly id: string;
  /** What `.named()` said. */
  readonly name: string | null;
  /** `delays.ts:10`. */
  readonly callSite: string | null;
  readonly inputs: readonly NodeRef[];
}

/** Port 1, where `connector.options.onError` is `side`: records that cannot be read (dead-letters.ts). */
export interface SourceNode extends NodeHead {
  readonly kind: 'source';
  readonly connector: ConnectorSpec;
  /** The declared schema, a checked cast; null: the place's own columns. */
  readonly schema: Fields | null;
  readonly bounded: boolean;
  /** Columns that, together, no two rows have equal, ever. Declared, not known. */
  readonly key?: readonly string[];
  /** It is read to its end, whatever the job does, for rows to be looked up in. */
  readonly table?: true;
}
export interface EventTimeNode extends NodeHead {
  readonly kind: 'eventTime';
  readonly column: string;
  readonly outOfOrdernessMs: number;
  /** null: never idle. */
  readonly idleAfterMs: number | null;
}
export interface FilterNode extends NodeHead {
  readonly kind: 'filter';
  readonly condition: UnboundExpr;
}
/** select, with, pick, drop: all of them say every column that comes out. */
export interface ProjectNode extends NodeHead {
  readonly kind: 'project';
  readonly columns: readonly { readonly name: string; readonly expr: UnboundExpr }[];
  /** `with`: columns of the input that are not named stay, in place. */
  readonly keepOthers: boolean;
  /** `drop`: these go. */
  readonly dropped: readonly string[];
}
/** JavaScript per row or per Arrow batch; `functionId` is resolved against the job module in every slot. */
export interface MapNode extends NodeHead {
  readonly kind: 'map';
  readonly style: 'map' | 'flatMap' | 'mapBatch';
  readonly functionId: string;
  readonly schema: Fields;
  /** Rows that the function cannot take; absent: the job fails. `side`: port 1 has them (dead-letters.ts). */
  readonly onError?: OnError;
}
export interface UnionNode extends NodeHead {
  readonly kind: 'union';
}
/** Port 0: results; port 1: late rows as they came. */
export interface AggregateNode extends NodeHead {
  readonly kind: 'aggregate';
  /** Column names, in the order of the result; the window stands among them as null. Empty: one group of all rows. */
  readonly keys: readonly (string | null)[];
  readonly window: WindowSpec | null;
  /** Group-level expressions: aggregates and what is computed from them and the keys. */
  readonly columns: readonly { readonly name: string; readonly expr: UnboundExpr }[];
  readonly allowedLatenessMs: number;
}
/** An input of a process function: `inputs[i]` is the stream of `ports[i]`. */
export interface ProcessPort {
  /** What the handler is called by; a function of one stream has one, named `row`. */
  readonly name: string;
  /** Columns whose equal values meet the same state; null: every row goes to every subtask. */
  readonly keys: readonly string[] | null;
  /** The handler's function id. */
  readonly handler: string;
}
/** Port 0: what it emits; port i + 1: side output i; behind them, where `onError` is `side`, what failed (dead-letters.ts). */
export interface ProcessNode extends NodeHead {
  readonly kind: 'process';
  readonly ports: readonly ProcessPort[];
  /** Columns of what it emits; null: nothing. */
  readonly output: Fields | null;
  readonly side: readonly { readonly name: string; readonly schema: Fields }[];
  readonly state: readonly StateSpec[];
  readonly broadcastState: readonly StateSpec[];
  /** Lists of a subtask; absent: none. */
  readonly operatorState?: readonly StateSpec[];
  /** Function id; null: it sets no timers. */
  readonly onTimer: string | null;
  /** Rows and timers for which it throws; absent: the job fails. */
  readonly onError?: OnError;
}
/** `semi` and `anti` give rows of the left input only. */
export type JoinType = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti';
/**
 * Two inputs, left and right. What comes out has two columns, `left` and `right`, a ROW of each side; a `select` behind it
 * says which columns they become. `semi` and `anti`: the left input's columns.
 */
export interface JoinNode extends NodeHead {
  readonly kind: 'join';
  readonly type: JoinType;
  /** Over `left` and `right`. */
  readonly condition: UnboundExpr;
  /** The right side is a table that ends: a left row waits until it was read, then meets its row there, or none. Of type `left`. */
  readonly lookup?: true;
  /** Right event time minus left, from and to, both included: an interval join. */
  readonly within?: { readonly fromMs: number; readonly toMs: number };
  /** A left row meets the last right row of its key that is not later in event time, nor earlier by more than that. Of type `inner` or `left`. */
  readonly asOf?: { readonly toleranceMs: number | null };
}
export interface DistinctNode extends NodeHead {
  readonly kind: 'distinct';
}
export interface OrderKey {
  readonly column: string;
  readonly descending: boolean;
}
/** Nulls order as the least value: first ascending, last descending (Flink's default). */
export interface SortNode extends NodeHead {
  readonly kind: 'sort';
  readonly by: readonly OrderKey[];
}
export interface LimitNode extends NodeHead {
  readonly kind: 'limit';
  readonly rows: number;
}
export interface TopNNode extends NodeHead {
  readonly kind: 'topN';
  /** Column names (a window key by its column name `window`); empty: of all rows. */
  readonly partitionBy: readonly string[];
  readonly by: readonly OrderKey[];
  readonly n: number;
  readonly using: 'ROW_NUMBER' | 'RANK' | 'DENSE_RANK';
  readonly rankAs: string | null;
  /** Of one row of each group, the first or the last by `by`, which may be empty: as they come. Of equals the same counts. */
  readonly keep?: 'first' | 'last';
}
/** Every change becomes a row: the columns, then `row_kind`. */
export interface ToChangelogNode extends NodeHead {
  readonly kind: 'toChangelog';
}
/** Rows whose column `row_kind` says whether they come or go: the last of each key stands. */
export interface FromChangelogNode extends NodeHead {
  readonly kind: 'fromChangelog';
  readonly key: readonly string[];
}
/** The input's columns and, behind them, aggregates over rows of its partition up to each row. Ascending order; by event time, where the input does not end. */
export interface OverNode extends NodeHead {
  readonly kind: 'over';
  readonly partitionBy: readonly UnboundExpr[];
  readonly orderBy: readonly UnboundExpr[];
  readonly frame: OverFrame;
  /** Aggregates, each alone. */
  readonly columns: readonly { readonly name: string; readonly expr: UnboundExpr }[];
}
export interface SinkNode extends NodeHead {
  readonly kind: 'sink';
  /** `collect`-like ends (no `.to`) have the connector kind `handle`: rows go to the job's handle. */
  readonly connector: ConnectorSpec;
  /** The sink's declared schema; rows must fit it. */
  readonly schema: Fields | null;
}

export type PlanNode =
  | SourceNode
  | EventTimeNode
  | FilterNode
  | ProjectNode
  | MapNode
  | UnionNode
  | AggregateNode
  | ProcessNode
  | JoinNode
  | DistinctNode
  | SortNode
  | LimitNode
  | TopNNode
  | ToChangelogNode
  | FromChangelogNode
  | OverNode
  | SinkNode;
export type PlanNodeKind = PlanNode['kind'];
