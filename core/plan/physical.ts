/**
 * The physical plan: chains of operators joined by edges. Plain JSON; what the coordinator deploys and what every slot
 * builds its tasks from. Everything here speaks of leaf columns by index.
 */

import type { AggregateCall, Expr, OverFrame } from '../expr/tree.ts';
import type { ConnectorSpec, ReadRequest } from '../ports/connector.ts';
import type { Layout } from '../record/layout.ts';
import type { Fields } from '../record/types.ts';
import type { SlicedWindow } from '../time/windows.ts';
import type { OnError } from './dead-letters.ts';
import type { JoinType, WindowSpec } from './nodes.ts';
import type { StateSpec } from './states.ts';

export interface PhysicalPlan {
  readonly version: 1;
  readonly name: string;
  readonly chains: readonly Chain[];
  readonly edges: readonly Edge[];
  /** All sources are bounded (and the run is not forced to stream): no row is late, only final rows are emitted. */
  readonly bounded: boolean;
}

/** Fused operators that run in one task per subtask. Operators are in topological order; operator 0 reads the inputs. */
export interface Chain {
  readonly id: number;
  /** Subtasks: subtask i runs in slot i. */
  readonly parallelism: number;
  /** `caller`: the thread that called `run` (in-process sources and sinks); its parallelism is 1. */
  readonly place: 'slots' | 'caller';
  readonly operators: readonly ChainOperator[];
  /** Edge ids by input port of operator 0; several edges on one port are a union. */
  readonly inputs: readonly (readonly number[])[];
}

export interface ChainOperator {
  readonly node: PhysicalNode;
  /** Stable id (state is kept under it) and the name `explain` and errors show. */
  readonly id: string;
  readonly name: string;
  readonly callSite: string | null;
  /** Layout of what comes out, by output port. */
  readonly outputs: readonly Layout[];
  /** Where each output port's batches go; several targets: each gets every batch. */
  readonly targets: readonly (readonly Target[])[];
}
export type Target =
  | { readonly kind: 'operator'; readonly index: number; readonly port: number }
  | { readonly kind: 'edge'; readonly edge: number };

export type Exchange =
  /** Subtask i to subtask i. */
  | { readonly kind: 'forward' }
  /** By the hash of leaf columns: first bits → key group → subtask by range. */
  | { readonly kind: 'hash'; readonly keys: readonly number[] }
  /** Every row to every subtask. */
  | { readonly kind: 'broadcast' }
  /** Frame by frame, round robin; to one subtask it gathers. */
  | { readonly kind: 'rebalance' };

export interface Edge {
  readonly id: number;
  readonly from: { readonly chain: number; readonly operator: number; readonly port: number };
  readonly to: { readonly chain: number; readonly port: number };
  readonly exchange: Exchange;
  readonly layout: Layout;
  /** Whether row kinds other than +I may cross. */
  readonly updating: boolean;
  /** Updates cross as +U alone. */
  readonly withoutBefore?: true;
  /** Its rows have no event time, where those of other inputs have: it holds back nobody's. */
  readonly untimed?: true;
}

export interface WatermarkSpec {
  /** Leaf index of the TIMESTAMP column. */
  readonly column: number;
  readonly outOfOrdernessMs: number;
  readonly idleAfterMs: number | null;
}

export interface SortKey {
  readonly column: number;
  readonly descending: boolean;
}

/** An input port of a process function. */
export interface ProcessInput {
  readonly name: string;
  readonly fields: Fields;
  /** The key as the function sees it, and its leaves in the input; null: a broadcast input. */
  readonly key: { readonly fields: Fields; readonly leaves: readonly number[] } | null;
  /** Leaf index of the hidden event time. */
  readonly rowtime: number | null;
  readonly handler: string;
}

/** What must be TRUE beside equal keys, where a filter behind the join would not do: it decides which rows match none. */
export interface JoinResidual {
  /** Over the `leaves` of both sides, left before right. */
  readonly condition: Expr;
  readonly leaves: readonly [readonly number[], readonly number[]];
  readonly text: string;
}

/** A time column and a shift: the row is behind once event time has come to the column's value, in whole milliseconds, less the shift. */
export interface TimeBound {
  /** Leaf of the side's input, a TIMESTAMP. */
  readonly leaf: number;
  readonly plusMs: number;
}

/** What bounds the state of a join (docs/join-state.md), by side. */
export interface JoinBounds {
  /** A row that is behind one of these, or has a NULL there, meets no row that is to come. */
  readonly dies: readonly [readonly TimeBound[], readonly TimeBound[]];
  /** Leaf of the event time, where rows die by it. */
  readonly time: readonly [number | null, number | null];
  /** A row whose event time has passed when it comes is late: what it could meet may be gone. */
  readonly late: readonly [boolean, boolean];
  /** At most one row has a key, ever: rows of the other side wait for it, and for no other. */
  readonly once: readonly [boolean, boolean];
  /** BOOLEAN leaf: rows where it is FALSE are in no result; that there are such is all that is known of them. null: there are none. */
  readonly known: readonly [number | null, number | null];
}

/** Where an operator is split in two around an exchange: before it, behind it; `single` is not split. */
export type Phase = 'single' | 'partial' | 'final';

export type PhysicalNode =
  /** Emits `request.layout`; on port 1, if there is one, records that cannot be read. Watermarks per split when `watermark` is set. */
  | {
      readonly kind: 'source';
      readonly connector: ConnectorSpec;
      readonly request: ReadRequest;
      readonly watermark: WatermarkSpec | null;
      /** Leaves that, together, no two of its rows have equal, ever: so the source declares. */
      readonly neverRepeats?: readonly number[];
      /** It ends when it has been read, also where other sources stay open. */
      readonly table?: true;
    }
  /** Event time assigned where it could not be pushed into a source. Passes rows on. */
  | {
      readonly kind: 'watermark';
      readonly watermark: WatermarkSpec;
      /** Also on ended input: timers wait for it. */
      readonly always?: true;
    }
  /**
   * Lets go of rows of which the join behind it can make nothing: they are to equal the maximum (minimum) of their window
   * and group, and a greater (lesser) one came before them. Which others pass is left open. `keys` and `call.arg` are leaves.
   */
  | {
      readonly kind: 'dynamicFilter';
      readonly keys: readonly number[];
      readonly call: AggregateCall;
      readonly window: SlicedWindow;
      /** Leaf of the event time. */
      readonly time: number;
    }
  /** Filter (rows where it is TRUE stay), then one expression per output leaf. One compiled loop. */
  | { readonly kind: 'project'; readonly filter: Expr | null; readonly columns: readonly Expr[] }
  /** `rowtime`: leaf index of the hidden event time in the input, which is passed on as the last output leaf. */
  | {
      readonly kind: 'map';
      readonly style: 'map' | 'flatMap' | 'mapBatch';
      readonly functionId: string;
      readonly input: Fields;
      readonly output: Fields;
      readonly rowtime: number | null;
      /** `side`: output port 1 has the rows that it could not take. Absent: the job fails. */
      readonly onError?: OnError;
    }
  /**
   * Grouped aggregation. Output leaves: keys in order (the window's start and end last among the keys), then one per
   * call; then, windowed, `$rowtime` = window end − 1 ms. `partial` emits keys, then (windowed) the slice's end as
   * BIGINT, then accumulator columns (`partialLayout` of core/compile/aggregate.ts), which `final` takes.
   * Output port 1 (single and final, windowed): late rows as they came in.
   */
  | {
      readonly kind: 'aggregate';
      readonly phase: Phase;
      readonly keys: readonly number[];
      readonly calls: readonly AggregateCall[];
      readonly window: WindowSpec | null;
      /** Leaf index of `$rowtime` (partial, single) or of the slice end (final); null without a window. */
      readonly time: number | null;
      readonly allowedLatenessMs: number;
      /** Its input takes rows back. The planner decides when it places it. */
      readonly updating?: true;
      /** Rows of a group have this time in common, and none comes any more once it is behind. The planner's (rules/free-groups.ts). */
      readonly frees?: TimeBound;
      /** Nobody needs its −U. */
      readonly withoutBefore?: true;
    }
  /**
   * A function of the user's over keyed state. Output port 0: what it emits; port i + 1: side output i, each with
   * `$rowtime` behind its columns or not.
   */
  | {
      readonly kind: 'process';
      /** By input port. */
      readonly ports: readonly ProcessInput[];
      readonly output: Fields | null;
      readonly side: readonly { readonly name: string; readonly schema: Fields }[];
      readonly state: readonly StateSpec[];
      readonly broadcastState: readonly StateSpec[];
      readonly operatorState?: readonly StateSpec[];
      readonly onTimer: string | null;
      /** `side`: the last output port has the rows and timers for which it threw. Absent: the job fails. */
      readonly onError?: OnError;
      /** Whether rows of keyed inputs have event time. */
      readonly timed: boolean;
    }
  /**
   * Two inputs, 0 left and 1 right. Rows whose keys are equal, none of them NULL, and for which `residual` is TRUE, match.
   * Output leaves: those of `output`, left before right; of a side that can be missing they are nullable. `semi` and `anti`
   * give left leaves only.
   */
  | {
      readonly kind: 'join';
      readonly type: JoinType;
      /** By side: leaves of the key, of the same types on both. None: all rows meet in one subtask. */
      readonly keys: readonly [readonly number[], readonly number[]];
      readonly output: readonly [readonly number[], readonly number[]];
      readonly residual: JoinResidual | null;
      /** By side: leaf, among the keys, of the end of the window that rows are results of, where both are of one: its rows come out and go when event time has passed it. */
      readonly windowEnd?: readonly [number, number];
      /** By side: its rows may be taken back, so state knows them by their values. The planner decides when it places the join. */
      readonly updating: readonly [boolean, boolean];
      /** The equal keys, for people: `left.id = right.auction`. */
      readonly on: string;
      /** Of an unbounded inner join of inserts, what bounds its state. Absent: nothing. */
      readonly bounds?: JoinBounds;
      /** The right side is a table that every subtask has: left rows stay where they are, and wait until it was read. */
      readonly lookup?: true;
      /** `times`: by side, the leaf of its event time, which the condition bounds: right minus left, both ends included. */
      readonly within?: { readonly times: readonly [number, number]; readonly fromMs: number; readonly toMs: number };
      /**
       * The right rows of a key are versions, each from its event time to that of the next; `−D` ends one. A left row meets the one of its
       * own event time, if that is not older than the tolerance, and the residual must be TRUE of it.
       */
      readonly asOf?: { readonly times: readonly [number, number]; readonly toleranceMs: number | null };
    }
  /**
   * Bounded input. Sorts its rows and gives the first `limit` of them. Phases: `partial` in every subtask before the rows
   * are gathered, `final` behind it at parallelism 1 (its input is a mix of sorted runs, each in order; sorting again is
   * right, merging is faster), `single` where there is one subtask anyway.
   */
  | { readonly kind: 'sort'; readonly phase?: Phase; readonly by: readonly SortKey[]; readonly limit: number | null }
  /** The first `rows` rows that come; `partial` in every subtask, then `final` at parallelism 1. */
  | { readonly kind: 'limit'; readonly phase?: Phase; readonly rows: number }
  /** First n by order, of all rows or of each partition; on unbounded input an updating result. `rank`: whether a BIGINT rank is the last leaf before `$rowtime`. */
  | {
      readonly kind: 'topN';
      readonly phase: Phase;
      readonly partitionBy: readonly number[];
      readonly by: readonly SortKey[];
      readonly n: number;
      readonly using: 'ROW_NUMBER' | 'RANK' | 'DENSE_RANK';
      readonly rank: boolean;
      /** One row of each partition; `last`: of equals the one that comes later. Absent: a ranking. */
      readonly keep?: 'first' | 'last';
      /**
       * Leaf index, among `partitionBy`, of the end of a window: its partitions are final when event time has passed it,
       * so the result of unbounded input is append-only. Absent or null: it updates.
       */
      readonly windowEnd?: number | null;
      /** Its input takes rows back: all rows are kept. The planner decides when it places it. */
      readonly updating?: true;
      /** As an aggregate's, of one row a key. */
      readonly frees?: TimeBound;
      /** Nobody needs its −U; of `keep` alone. */
      readonly withoutBefore?: true;
    }
  /** Every change becomes a row. Output leaves: those of the input, with the VARCHAR `row_kind` behind them, before `$rowtime`. */
  | { readonly kind: 'toChangelog' }
  /**
   * The last row of each key stands. The last input leaf, `row_kind`, says whether a row comes or goes; output leaves: those
   * before it. Rows of a key come in order.
   */
  | { readonly kind: 'fromChangelog'; readonly keys: readonly number[]; readonly withoutBefore?: true }
  /**
   * The input's leaves and, behind them but before `$rowtime`, one for each call over the frame of each row, in the order of
   * `by`, ascending. Unbounded input that only inserts: rows come out when event time has passed them.
   */
  | {
      readonly kind: 'over';
      readonly partitionBy: readonly number[];
      readonly by: readonly number[];
      readonly frame: OverFrame;
      readonly calls: readonly AggregateCall[];
      /** Its input takes rows back: all rows are kept. The planner decides when it places it. */
      readonly updating?: true;
    }
  /** Writes rows of logical type `fields` (leaves in order; `$rowtime` is not there). */
  | {
      readonly kind: 'sink';
      readonly connector: ConnectorSpec;
      readonly output: string;
      readonly fields: Fields;
      readonly updating: boolean;
      /** It knows rows by these leaves: updates are told as +U alone. `halves`: a −U may come without its +U, and is a deletion. */
      readonly upsert?: { readonly key: readonly number[]; readonly halves?: boolean };
    };
export type PhysicalKind = PhysicalNode['kind'];
