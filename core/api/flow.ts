/**
 * Streams as values: each method checks what can be known without looking at a place, notes where it was called, and
 * returns a frozen stream with one step more. Types are stream.ts's. Opens nothing, starts nothing, and never knows what
 * a plan becomes.
 */
import { MillraceError } from '../base/errors.ts';
import type { UnboundExpr } from '../expr/tree.ts';
import { deadLetterFields } from '../plan/dead-letters.ts';
import type { JoinType, WindowSpec } from '../plan/nodes.ts';
import type { Json } from '../ports/connector.ts';
import { type Callee, located, notAStream, notNegative, once, policyOf, shown, whole } from './checks.ts';
import { rowColumns, treeOf } from './expression.ts';
import { joinTimes } from './join-options.ts';
import { tableOf } from './lookup.ts';
import { loosest, type Mode, type StreamOf, updatingOf } from './modes.ts';
import { madeOf, underNotes } from './notes.ts';
import { splitOvers } from './over.ts';
import { type ErringSource, keyOf, type Place, type Sink, type Source, sinkOf, sourceOf } from './place.ts';
import type { Connected, Inputs } from './process.ts';
import { processStep } from './process-step.ts';
import { checkColumnName, fieldsOf, type Schema } from './schema.ts';
import { refuseShortCircuits } from './short-circuit.ts';
import {
  isWindowColumn,
  type KnownColumn,
  knownColumns,
  orderBehind,
  placed,
  type Step,
  type StepContent,
  type Tip,
  tipOf,
  withTip,
} from './step.ts';
import type { AggregateOptions, DeadLetter, ErrorOptions, Stream, TopN, WithSide } from './stream.ts';
import { orderKeys, windowSpecOf } from './windows.ts';

export interface FromOptions<R> {
  /**
   * Columns that, together, no two rows have equal, ever: `key: 'id'`. Joins by them need not wait for another row, and keep
   * less (docs/join-state.md). A row that breaks it where it is relied on is left out and counted (`skipped`).
   */
  readonly key?: (keyof R & string) | readonly (keyof R & string)[];
}

/** A source becomes a stream; the same source twice is one scan. Errors: `option/invalid`. */
export function from<R, M extends Mode>(
  source: ErringSource<R, M>,
  options?: FromOptions<R>,
): WithSide<R, M, { errors: Stream<DeadLetter, M> }>;
export function from<R, M extends Mode>(source: Source<R, M>, options?: FromOptions<R>): Stream<R, M>;
export function from<R, M extends Mode>(source: Source<R, M>, options: FromOptions<R> = {}): Stream<R, M> {
  return located(from as Callee, (callSite) => {
    const { connector, schema, mode, resource, eventTime, key: own } = sourceOf(source);
    const key = options.key === undefined ? own : keyOf('from', options.key, schema, connector.label);
    const bounded = mode === 'bounded';
    const content: StepContent = { kind: 'source', connector, schema, bounded, ...(key ? { key } : {}) };
    const step: Step = Object.freeze({ content, inputs: [], name: null, callSite, attached: resource });
    const read: Tip = { step, port: 0, mode, columns: schema && knownColumns(schema) };
    const tip = eventTime === undefined ? read : timed(read, eventTime, callSite);
    const sided = connector.options.onError === 'side';
    return asStream(flowOf(tip, sided ? { errors: errorsOf(tip) } : undefined));
  });
}

/** Rows that have event time of themselves. */
function timed(read: Tip, { column, outOfOrdernessMs }: NonNullable<Place['eventTime']>, callSite: string | null): Tip {
  const content: StepContent = { kind: 'eventTime', column, outOfOrdernessMs, idleAfterMs: null };
  return { ...read, step: Object.freeze({ content, inputs: [read], name: null, callSite, attached: null }) };
}

/**
 * Several inputs under names, keyed or broadcast, for one process function. Equal keys of all keyed inputs meet the same
 * state; event time is the least of the inputs that have it. Errors: `option/invalid`.
 */
export function connect<I extends Inputs>(inputs: I): Connected<I> {
  const named = located(connect as Callee, () => {
    if (typeof inputs !== 'object' || inputs === null)
      throw new MillraceError('option/invalid', `connect takes inputs by name, not ${shown(inputs)}`);
    return Object.entries(inputs).map(([name, input]) => ({ name, ...inputOf(name, input) }));
  });
  if (named.length === 0) throw new MillraceError('option/invalid', 'connect takes one input at least');
  const connected = {
    process: (fn: unknown): Flow => processed(connected.process, named, false, fn),
  };
  return Object.freeze(connected) as unknown as Connected<I>;
}

/** What stands behind `.keyBy(…)` and `.broadcast()`. */
interface ProcessInput {
  readonly tip: Tip;
  readonly keys: readonly string[] | null;
}
const input = Symbol.for('millrace.input');

function inputOf(name: string, value: unknown): ProcessInput {
  const found = (value as { readonly [input]?: ProcessInput } | null | undefined)?.[input];
  if (found) return found;
  throw new MillraceError(
    'option/invalid',
    `connect: '${name}' is ${tipOf(value) ? 'a stream; say .keyBy(…) or .broadcast() of it' : shown(value)}`,
  );
}

/** The step of a process function, with a stream for each of its side outputs. */
function processed(
  callee: Callee,
  inputs: readonly (ProcessInput & { readonly name: string })[],
  single: boolean,
  fn: unknown,
): Flow {
  return located(callee, (callSite) => {
    const { content, functions } = processStep(fn, inputs, single);
    const step: Step = Object.freeze({
      content,
      inputs: inputs.map(({ tip }) => tip),
      name: null,
      callSite,
      attached: { value: functions },
    });
    const keyed = inputs.filter(({ keys }) => keys !== null).map(({ tip }) => tip.mode);
    const mode: Mode = keyed.every((one) => one === 'bounded') ? 'bounded' : 'append';
    const outputs = [content.output ?? [], ...content.side.map(({ schema }) => schema)];
    const flows = outputs.map((fields, port) => flowOf({ step, port, mode, columns: knownColumns(fields) }));
    const side = content.side.map(({ name }, i) => [name, flows[i + 1] as Flow] as const);
    const main = tipOf(flows[0]) as Tip;
    const errors = content.onError === 'side' ? [['errors', errorsOf(main, flows.length)] as const] : [];
    return flowOf(main, Object.fromEntries([...side, ...errors]));
  });
}

type NamedTree = { readonly name: string; readonly expr: UnboundExpr };

/** The one place where a flow gets the types of the rows it carries. */
function asStream<R, M extends Mode>(flow: Flow): Stream<R, M> {
  return flow as unknown as Stream<R, M>;
}

function flowOf(tip: Tip, side?: Readonly<Record<string, Flow>>): Flow {
  const flow = new Flow();
  withTip(flow, tip);
  if (side) Object.assign(flow, { side: Object.freeze(side) });
  Object.freeze(flow);
  return flow;
}

class Flow {
  eventTime(column: string, options: { outOfOrderness?: string; idleAfter?: string } = {}): Flow {
    return this.#step(this.eventTime, () => ({
      kind: 'eventTime',
      column,
      outOfOrdernessMs: notNegative('outOfOrderness', options.outOfOrderness ?? '0 ms'),
      idleAfterMs: options.idleAfter === undefined ? null : notNegative('idleAfter', options.idleAfter),
    }));
  }

  named(name: string): Flow {
    if (typeof name !== 'string' || name === '') throw new MillraceError('option/invalid', '.named() takes a name');
    const tip = this.#tip;
    const renamed = { ...tip, step: Object.freeze({ ...tip.step, name }) };
    const { side } = this as { side?: Readonly<Record<string, Flow>> };
    return flowOf(
      renamed,
      side && Object.fromEntries(Object.entries(side).map(([key, flow]) => [key, flow.named(name)])),
    );
  }

  filter(condition: Callback): Flow {
    return this.#step(this.filter, () => {
      refuseShortCircuits(condition, 'filter');
      const answer = underNotes(
        () => condition(this.#row()),
        (made) => [made],
        'filter',
      );
      if (!madeOf(answer))
        throw new MillraceError(
          'plan/type',
          `filter's condition is ${shown(answer)}, not an expression such as row.delay.gt(15)`,
        );
      return { kind: 'filter', condition: treeOf(answer, 'filter') };
    });
  }

  select(columns: Callback): Flow {
    return this.#project(this.select, () => this.#columns(columns, 'select'), false);
  }

  with(columns: Callback): Flow {
    return this.#project(this.with, () => this.#columns(columns, 'with'), true);
  }

  pick(...names: string[]): Flow {
    return this.#project(
      this.pick,
      () => once('pick', names).map((name) => ({ name, expr: { kind: 'column', path: [name] } })),
      false,
    );
  }

  drop(...names: string[]): Flow {
    const kept = this.#tip.columns?.filter(({ name }) => !names.includes(name)) ?? null;
    return this.#step(
      this.drop,
      () => ({ kind: 'project', columns: [], keepOthers: true, dropped: once('drop', names) }),
      { columns: kept },
    );
  }

  distinct(): Flow {
    return this.#step(this.distinct, () => ({ kind: 'distinct' }));
  }

  limit(rows: number): Flow {
    const mode = this.#tip.mode === 'append' ? 'bounded' : this.#tip.mode;
    return this.#step(this.limit, () => ({ kind: 'limit', rows: whole('limit', rows, 0) }), { mode });
  }

  orderBy(...by: unknown[]): Flow {
    return this.#step(this.orderBy, () => ({ kind: 'sort', by: orderKeys(by) }));
  }

  topN(n: number, options: TopN<never, string>): Flow {
    return this.#topN(this.topN, [], n, options, updatingOf(this.#tip.mode));
  }

  union(...others: StreamOf<unknown, Mode>[]): Flow {
    const tips = others.map((other) => tipOf(other) ?? notAStream('union', other));
    const mode = loosest([this.#tip, ...tips].map((tip) => tip.mode));
    return this.#step(this.union, () => ({ kind: 'union' }), { mode }, tips);
  }

  join(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.join, 'inner', right, on, options);
  }

  leftJoin(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.leftJoin, 'left', right, on, options);
  }

  rightJoin(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.rightJoin, 'right', right, on, options);
  }

  fullJoin(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.fullJoin, 'full', right, on, options);
  }

  semiJoin(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): Flow {
    return this.#join(this.semiJoin, 'semi', right, on, options);
  }

  antiJoin(right: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): Flow {
    return this.#join(this.antiJoin, 'anti', right, on, options);
  }

  asOfJoin(versions: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.asOfJoin, 'inner', versions, on, options);
  }

  leftAsOfJoin(versions: StreamOf<unknown, Mode>, on: OnCallback, options?: unknown): object {
    return this.#joined(this.leftAsOfJoin, 'left', versions, on, options);
  }

  lookupJoin(table: unknown, key: Callback): object {
    const on = located(this.lookupJoin, () => lookupCondition(table, key));
    return this.#joined(this.lookupJoin, 'left', table as StreamOf<unknown, Mode>, on, undefined);
  }

  groupBy(...keys: unknown[]): object {
    const { names, columns, window } = located(this.groupBy, () => keysOf(keys));
    const windowed = window !== null || names.some((name) => isWindowColumn(this.#tip.columns, name));
    const grouped = {
      aggregate: (callback: Callback, options: AggregateOptions = {}): Flow =>
        this.#aggregate(grouped.aggregate, columns, window, windowed, callback, options),
      topN: (n: number, options: TopN<never, string>): Flow =>
        this.#topN(grouped.topN, columns, n, options, windowed ? this.#tip.mode : updatingOf(this.#tip.mode)),
      keepFirst: (by?: string): Flow => this.#keep(grouped.keepFirst, columns, 'first', by, this.#tip.mode),
      keepLast: (by?: string): Flow =>
        this.#keep(grouped.keepLast, columns, 'last', by, windowed ? this.#tip.mode : updatingOf(this.#tip.mode)),
    };
    return Object.freeze(grouped);
  }

  aggregate(columns: Callback): Flow {
    return this.#aggregate(this.aggregate, [], null, false, columns, {});
  }

  keyBy(...columns: unknown[]): object {
    const keys = located(this.keyBy, () => {
      const wrong = columns.find((column) => typeof column !== 'string');
      if (wrong !== undefined)
        throw new MillraceError(
          'option/invalid',
          `a key is a column name, not ${shown(wrong)}; compute it in a with before`,
        );
      if (columns.length === 0) throw new MillraceError('option/invalid', 'keyBy takes one column at least');
      return once('keyBy', columns as string[]);
    });
    const tip = this.#tip;
    const keyed = {
      [input]: { tip, keys },
      process: (fn: unknown): Flow => processed(keyed.process, [{ name: 'row', tip, keys }], true, fn),
    };
    return Object.freeze(keyed);
  }

  broadcast(): object {
    return Object.freeze({ kind: 'broadcast', [input]: { tip: this.#tip, keys: null } });
  }

  map(output: Schema<unknown>, fn: unknown, options?: ErrorOptions): Flow {
    return this.#map(this.map, 'map', output, fn, options);
  }

  flatMap(output: Schema<unknown>, fn: unknown, options?: ErrorOptions): Flow {
    return this.#map(this.flatMap, 'flatMap', output, fn, options);
  }

  mapBatch(output: Schema<unknown>, fn: unknown): Flow {
    return this.#map(this.mapBatch, 'mapBatch', output, fn);
  }

  toChangelog(): Flow {
    const { mode, columns } = this.#tip;
    return this.#step(this.toChangelog, () => ({ kind: 'toChangelog' }), {
      mode: mode === 'bounded' ? 'bounded' : 'append',
      columns: columns && [...columns, { name: 'row_kind', isWindow: false }],
    });
  }

  fromChangelog(options: { key: string | readonly string[] }): Flow {
    const { mode, columns } = this.#tip;
    const content = (): StepContent => {
      const given = options?.key;
      const key = typeof given === 'string' ? [given] : given;
      if (!Array.isArray(key) || key.length === 0 || key.some((name) => typeof name !== 'string'))
        throw new MillraceError(
          'option/invalid',
          `fromChangelog takes { key }, the columns by which rows replace one another, not ${shown(given)}`,
        );
      return { kind: 'fromChangelog', key: once('fromChangelog', key) };
    };
    return this.#step(this.fromChangelog, content, {
      mode: updatingOf(mode),
      columns: columns?.filter(({ name }) => name !== 'row_kind') ?? null,
    });
  }

  to(sink: Sink<never, Mode>): object {
    const { connector, schema, resource } = located(this.to, () => sinkOf(sink));
    const { mode, step } = this.#tip;
    const options: Record<string, Json> = { ...connector.options };
    // Who receives rows of an updating stream receives changes; a receiver may have asked for them anyway.
    if ('changes' in options) options.changes ||= mode === 'updating';
    const sort = connector.kind === 'print' ? orderBehind(step) : [];
    if (sort.length > 0) options.sort = sort.map(({ column, descending }) => ({ column, descending }));
    const flow = this.#step(
      this.to,
      () => ({ kind: 'sink', connector: { ...connector, options }, schema }),
      {},
      [],
      resource,
    );
    return Object.freeze(withTip({ sink: true }, flow.#tip));
  }

  get #tip(): Tip {
    return tipOf(this) as Tip;
  }

  #row(): unknown {
    return rowColumns(this.#tip.columns?.map(({ name }) => name) ?? null);
  }

  /** One step more. Errors of `content` get the place where `callee` was called. */
  #step(
    callee: Callee,
    content: () => StepContent,
    change: { readonly mode?: Mode; readonly columns?: Tip['columns'] } = {},
    others: readonly Tip[] = [],
    attached: Step['attached'] = null,
  ): Flow {
    const inputs = [this.#tip, ...others];
    const step: Step = located(callee, (callSite) =>
      Object.freeze({ content: content(), inputs, name: null, callSite, attached }),
    );
    const { mode, columns } = this.#tip;
    return flowOf({ step, port: 0, mode, columns, ...change });
  }

  #project(callee: Callee, columnsOf: () => readonly NamedTree[], keepOthers: boolean): Flow {
    const made = located(callee, columnsOf);
    const { overs, columns: asked, made: temporary } = splitOvers(made);
    const before = overs.reduce((from: Flow, over) => from.#step(callee, () => over), this);
    const dropped = keepOthers ? temporary : [];
    const flow = before.#step(callee, () => ({ kind: 'project', columns: asked, keepOthers, dropped }));
    const { columns } = this.#tip;
    const known = made.map(
      ({ name, expr }): KnownColumn => ({
        name,
        isWindow: expr.kind === 'column' && expr.path.length === 1 && isWindowColumn(columns, expr.path[0] as string),
      }),
    );
    return flowOf({ ...flow.#tip, columns: keepOthers ? columns && placed(columns, known) : known });
  }

  #join(callee: Callee, type: JoinType, right: StreamOf<unknown, Mode>, on: OnCallback, options: unknown): Flow {
    const method = callee.name;
    const table = method === 'lookupJoin' ? tableOf(right) : null;
    const other = located(callee, () => table?.tip ?? tipOf(right) ?? notAStream(method, right));
    const mode = loosest([this.#tip.mode, other.mode]);
    const timed = located(callee, () => joinTimes(method, options));
    const corrects = type !== 'inner' && type !== 'semi' && !table && !timed.within && !timed.asOf;
    return this.#step(
      callee,
      () => {
        refuseShortCircuits(on, method);
        const answer = underNotes(
          () => on(sideColumns('left', this.#tip), sideColumns('right', other)),
          (made) => [made],
          method,
        );
        if (!madeOf(answer))
          throw new MillraceError(
            'plan/type',
            `${method}'s condition is ${shown(answer)}, not an expression such as left.id.eq(right.id)`,
          );
        const lookup = table ? ({ lookup: true } as const) : {};
        return { kind: 'join', type, condition: treeOf(answer, method), ...lookup, ...timed };
      },
      { mode: corrects ? updatingOf(mode) : mode },
      [other],
    );
  }

  /** A join of both sides' columns, which a select has still to name. */
  #joined(callee: Callee, type: JoinType, right: StreamOf<unknown, Mode>, on: OnCallback, options: unknown): object {
    const join = this.#join(callee, type, right, on, options);
    const left = this.#tip;
    const other = (tableOf(right)?.tip ?? tipOf(right)) as Tip;
    const joined = {
      select: (columns: OnCallback): Flow =>
        join.#project(
          joined.select,
          () => {
            refuseShortCircuits(columns, 'select');
            return namedColumns(() => columns(sideColumns('left', left), sideColumns('right', other)), 'select');
          },
          false,
        ),
    };
    return Object.freeze(joined);
  }

  #topN(callee: Callee, keys: readonly (string | null)[], n: number, options: TopN<never, string>, mode: Mode): Flow {
    const { rankAs = null, using = 'ROW_NUMBER', orderBy } = options ?? {};
    const columns = this.#tip.columns;
    const ranked = rankAs === null ? columns : columns && [...columns, { name: rankAs, isWindow: false }];
    return this.#step(
      callee,
      () => {
        if (keys.includes(null)) throw windowOfNothing();
        if (rankAs !== null) checkColumnName(rankAs);
        if (columns?.some(({ name }) => name === rankAs))
          throw new MillraceError('plan/duplicate', `rankAs: '${rankAs}' is a column already`);
        return {
          kind: 'topN',
          partitionBy: keys as readonly string[],
          by: orderKeys(orderBy),
          n: whole('topN', n, 1),
          using,
          rankAs,
        };
      },
      { mode, columns: ranked },
    );
  }

  #keep(
    callee: Callee,
    keys: readonly (string | null)[],
    keep: 'first' | 'last',
    by: string | undefined,
    mode: Mode,
  ): Flow {
    const content = (): StepContent => {
      if (keys.includes(null)) throw windowOfNothing();
      if (by !== undefined && typeof by !== 'string')
        throw new MillraceError('option/invalid', `rows are kept by the name of a column, not ${shown(by)}`);
      const order = by === undefined ? [] : [{ column: by, descending: keep === 'last' }];
      const partitionBy = keys as readonly string[];
      return { kind: 'topN', partitionBy, by: order, n: 1, using: 'ROW_NUMBER', rankAs: null, keep };
    };
    return this.#step(callee, content, { mode });
  }

  #aggregate(
    callee: Callee,
    keys: readonly (string | null)[],
    window: WindowSpec | null,
    windowed: boolean,
    callback: Callback,
    options: AggregateOptions,
  ): Flow {
    const input = this.#tip;
    const names = keys.map((key) => key ?? 'window');
    const corrected = options.allowedLateness !== undefined;
    let made: readonly NamedTree[] = [];
    const flow = this.#step(callee, () => {
      made = this.#columns(callback, 'aggregate');
      once('aggregate', [...names, ...made.map(({ name }) => name)]);
      if (corrected && !window)
        throw new MillraceError('plan/window', 'allowedLateness is for a window key; nothing here is late');
      const allowedLatenessMs = corrected ? notNegative('allowedLateness', options.allowedLateness as string) : 0;
      return { kind: 'aggregate', keys, window, columns: made, allowedLatenessMs };
    });
    const columns = [
      ...keys.map(
        (key): KnownColumn => ({ name: key ?? 'window', isWindow: key === null || isWindowColumn(input.columns, key) }),
      ),
      ...made.map(({ name }): KnownColumn => ({ name, isWindow: false })),
    ];
    const tip: Tip = { ...flow.#tip, columns, mode: windowed && !corrected ? input.mode : updatingOf(input.mode) };
    return flowOf(tip, windowed ? { late: flowOf({ ...input, step: tip.step, port: 1 }) } : undefined);
  }

  #map(
    callee: Callee,
    style: 'map' | 'flatMap' | 'mapBatch',
    output: Schema<unknown>,
    fn: unknown,
    options: ErrorOptions = {},
  ): Flow {
    const schema = located(callee, () => {
      if (typeof fn !== 'function')
        throw new MillraceError('option/invalid', `${style} takes a schema and a function, not ${shown(fn)}`);
      return fieldsOf(output);
    });
    const onError = located(callee, () => policyOf(style, options.onError));
    const policy = onError === 'fail' ? {} : { onError };
    const content: StepContent = { kind: 'map', style, functionId: '', schema, ...policy };
    const flow = this.#step(callee, () => content, { columns: knownColumns(schema) }, [], { value: fn });
    return onError === 'side' ? flowOf(flow.#tip, { errors: errorsOf(flow.#tip) }) : flow;
  }

  /** The named expressions that a callback answers. */
  #columns(callback: Callback, method: string): readonly NamedTree[] {
    refuseShortCircuits(callback, method);
    return namedColumns(() => callback(this.#row()), method);
  }
}

function namedColumns(answered: () => unknown, method: string): readonly NamedTree[] {
  const named = (): (NamedTree & { value: unknown })[] => {
    const answer = answered();
    if (typeof answer !== 'object' || answer === null || answer instanceof Promise || madeOf(answer)) {
      throw new MillraceError('plan/type', `${method} takes named columns, as in ({ total: … }), not ${shown(answer)}`);
    }
    return Object.entries(answer).map(([name, value]) => {
      checkColumnName(name);
      return { name, value, expr: treeOf(value, `column '${name}'`) };
    });
  };
  const columns = underNotes(named, (made) => made.map(({ value }) => value), method);
  if (columns.length === 0) throw new MillraceError('plan/type', `${method} takes one column at least`);
  return columns.map(({ name, expr }) => ({ name, expr }));
}

/** The columns of one side of a join. */
function sideColumns(side: 'left' | 'right', { columns }: Tip): unknown {
  return rowColumns(columns?.map(({ name }) => name) ?? null, [side]);
}

/** That the columns of a table's key equal what `key` makes of a row. */
function lookupCondition(table: unknown, key: Callback): OnCallback {
  const names = tableOf(table)?.key;
  if (!names) throw new MillraceError('option/invalid', `lookupJoin takes a lookupTable(…), not ${shown(table)}`);
  return (left, right) => {
    refuseShortCircuits(key, 'lookupJoin');
    const made = key(left) as Readonly<Record<string, unknown>>;
    if (typeof made !== 'object' || made === null || madeOf(made))
      throw new MillraceError(
        'plan/type',
        `lookupJoin takes the key's columns by name, as in ({ ${names[0]}: row.… }), not ${shown(made)}`,
      );
    const [missing] = names.filter((name) => !Object.hasOwn(made, name));
    const extra = Object.keys(made).find((name) => !names.includes(name));
    if (missing !== undefined || extra !== undefined)
      throw new MillraceError(
        'plan/unknown-column',
        `the table is looked up by ${names.join(', ')}; ${missing === undefined ? `'${extra}' is no part of that key` : `'${missing}' was not given`}`,
      );
    const equal = names.map((name) => right[name].eq(made[name]));
    return equal.slice(1).reduce((all, one) => all.and(one), equal[0]);
  };
}

/** Records that a step could not take, at its last output: the second, unless said. */
function errorsOf(tip: Tip, port = 1): Flow {
  const mode = tip.mode === 'updating' ? 'append' : tip.mode;
  return flowOf({ step: tip.step, port, mode, columns: knownColumns(deadLetterFields) });
}

// biome-ignore lint/suspicious/noExplicitAny: a callback gets a proxy for whatever row type it was written for
type Callback = (row: any) => unknown;
// biome-ignore lint/suspicious/noExplicitAny: as above, of both sides
type OnCallback = (left: any, right: any) => unknown;

/** Keys of a grouping: columns, and one window at most, which stands among them as null. */
function keysOf(keys: readonly unknown[]): {
  names: readonly string[];
  columns: (string | null)[];
  window: WindowSpec | null;
} {
  const specs = keys.map(windowSpecOf);
  const windows = specs.filter((spec) => spec !== null);
  const wrong = keys.find((key, i) => !specs[i] && typeof key !== 'string');
  if (wrong !== undefined)
    throw new MillraceError('option/invalid', `a key is a column name or a window, not ${shown(wrong)}`);
  if (windows.length > 1) {
    throw new MillraceError(
      'plan/window',
      'a row is grouped by one window at most; the result of the first can be grouped by another',
    );
  }
  if (keys.length === 0) {
    throw new MillraceError('option/invalid', 'groupBy takes one key at least; all rows are one group in .aggregate()');
  }
  const columns = keys.map((key, i) => (specs[i] ? null : (key as string)));
  return {
    names: once(
      'groupBy',
      columns.map((key) => key ?? 'window'),
    ),
    columns,
    window: windows[0] ?? null,
  };
}

function windowOfNothing(): MillraceError {
  return new MillraceError(
    'plan/unsupported',
    'topN of a window that nothing was aggregated over; aggregate first, then group by the column window',
  );
}
