/** The public names of Millrace. Scalar functions are in `millrace/functions`. */
export { avg, count, max, min, sum } from './core/api/aggregates.ts';
export { type Channel, channel } from './core/api/channel.ts';
export type {
  Aggregate,
  BooleanExpr,
  Col,
  Columns,
  Condition,
  Count,
  Expr,
  Level,
  NumberExpr,
  Operand,
  Over,
  RowExpr,
  StringExpr,
  TimeExpr,
} from './core/api/columns.ts';
export { connect, type FromOptions, from } from './core/api/flow.ts';
export { type Case, coalesce, when } from './core/api/functions.ts';
export { type ColumnGenerators, type Generated, type GeneratorOptions, generator } from './core/api/generator.ts';
export { type Job, type JobOptions, job } from './core/api/job.ts';
export { type LookupTable, type LookupTableOptions, lookupTable } from './core/api/lookup.ts';
export type { Change, Mode, Received, RowKind, StreamOf } from './core/api/modes.ts';
export type { ErringFiles, ErringSource, Files, Sink, Source } from './core/api/place.ts';
export type {
  Broadcast,
  BroadcastContext,
  Connected,
  Keyed,
  KeyedContext,
  Timer,
  Timers,
} from './core/api/process.ts';
export type { JobHandle, JobMetrics, JobResult, RunOptions } from './core/api/run.ts';
export { type ScalarFunction, scalarFunction } from './core/api/scalar-function.ts';
export {
  type Decimal,
  decimal,
  type Numeric,
  type RowOf,
  type Schema,
  schema,
  type Type,
  t,
  type Window,
} from './core/api/schema.ts';
export { arrowBatches, blackhole, callback, type PrintOptions, print } from './core/api/sinks.ts';
export {
  type ArrowBatch,
  type ArrowVector,
  arrowTable,
  type CsvOptions,
  collection,
  csv,
  type FileOptions,
  type FollowOptions,
  follow,
  iterable,
  jsonl,
  type PartitionCommitOptions,
  parquet,
  type RollOptions,
  type WatchOptions,
  watch,
} from './core/api/sources.ts';
export {
  type AggregatingState,
  type Aggregation,
  type ListState,
  type MapState,
  type OperatorListState,
  type ReducingState,
  type StateDecl,
  type StateOptions,
  state,
  type ValueState,
} from './core/api/state.ts';
export type {
  AggregateOptions,
  AsOfOptions,
  DeadLetter,
  End,
  Ends,
  ErrorOptions,
  Grouped,
  Joined,
  JoinOptions,
  Output,
  Stream,
  TopN,
  WithSide,
} from './core/api/stream.ts';
export {
  desc,
  hop,
  type Order,
  session,
  tumble,
  type WindowKey,
  type WindowOptions,
  type WindowTime,
} from './core/api/windows.ts';
export type { Duration, Size } from './core/base/duration.ts';
export { describeError, type ErrorCode, type ErrorWhere, MillraceError } from './core/base/errors.ts';
export { collect, explain, run } from './engine/run.ts';
