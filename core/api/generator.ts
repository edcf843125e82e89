// biome-ignore-all lint/suspicious/noExplicitAny: a record of columns of any type
/**
 * Rows from a seed: value n of a column depends on the seed, the column's name and n alone, so that every slot makes its
 * part and a restored job makes the same rows again. Only what kernels fill is here; what is computed from columns is a
 * `.with()` after `from()`, compiled like any expression, and what needs JavaScript is a `.map()`.
 *
 * In the plan: `{ kind: 'generator', options: { columns, rows, seed, rowsPerSecond } }`, each column `{ name, kind,
 * nulls?, … }` with the fields that the constructors below give it (read by connectors/generator/options.ts).
 */

import { type Duration, durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { Json } from '../ports/connector.ts';
import { type DataType, ticksPerMs, typeName } from '../record/types.ts';
import type { value } from './marks.ts';
import type { Source } from './place.ts';
import { dataTypeOf, type Fields, type Schema, schema, type Type, t } from './schema.ts';
import { source } from './sources.ts';

/** A generated column of values of type `T`. */
export interface Generated<out T> {
  readonly [value]: T;
  /** Each value is null with this probability, 0 to 1. */
  nullable(probability: number): Generated<T | null>;
}

/** How columns are generated. Whole numbers beyond 2^53 are given as `bigint`. */
export interface ColumnGenerators {
  /** BIGINT: `from` (0), then `step` (1) more in each row. */
  sequence(options?: { readonly from?: number | bigint; readonly step?: number | bigint }): Generated<number>;
  /** INT, uniform from `min` to `max`, both included. */
  int(min: number, max: number): Generated<number>;
  /** BIGINT, uniform from `min` to `max`, both included. */
  bigint(min: number | bigint, max: number | bigint): Generated<number>;
  /** DOUBLE, uniform from `min` to below `max`. */
  double(min: number, max: number): Generated<number>;
  /** BOOLEAN, true with this probability (0.5). */
  boolean(probability?: number): Generated<boolean>;
  /** VARCHAR of `length` bytes: the prefix, then one of `distinct` numbers with leading zeros. */
  text(options: { readonly distinct: number; readonly length: number; readonly prefix?: string }): Generated<string>;
  /**
   * TIMESTAMP(3 unless said) that advances with the rows: `perSecond` rows to a second of event time from `start` on,
   * each delayed by chance up to less than `disorder`.
   */
  time(options: {
    readonly start: Date | string;
    readonly perSecond: number;
    readonly disorder?: Duration;
    readonly precision?: number;
  }): Generated<Date>;
  /** TIMESTAMP(3 unless said): the wall-clock time at which the row is due; needs a `rate`. */
  due(precision?: number): Generated<Date>;
  /** The same value in every row. */
  constant<T extends string | number | bigint | boolean | Date>(type: Type<T>, of: NoInfer<T>): Generated<T>;
}

type GeneratedColumns = Readonly<Record<string, Generated<any>>>;
type RowOfGenerated<C> = { -readonly [K in keyof C]: C[K] extends Generated<infer T> ? T : never };

export interface GeneratorOptions<C extends GeneratedColumns, N extends number | undefined> {
  /** How many rows; without it they do not end. */
  readonly rows?: N;
  /** Rows per second over all slots; without it as fast as they are taken. */
  readonly rate?: number;
  /** 0 unless said. The same seed makes the same rows, at any parallelism. */
  readonly seed?: number;
  readonly columns: (g: ColumnGenerators) => C;
}

const members = ['rows', 'rate', 'seed', 'columns'];

/**
 * A source of made-up rows:
 * `generator({ rows: 10_000_000, columns: (g) => ({ key: g.bigint(0, 9_999), at: g.time({ start: '2026-01-01', perSecond: 100_000 }) }) })`.
 * Errors: `option/invalid`.
 */
export function generator<C extends GeneratedColumns, const N extends number | undefined = undefined>(
  options: GeneratorOptions<C, N>,
): Source<RowOfGenerated<C>, N extends number ? 'bounded' : 'append'> {
  const unknown = Object.keys(options).find((name) => !members.includes(name));
  if (unknown !== undefined) invalid(`there is no option '${unknown}'; there are ${members.join(', ')}`);
  const { rows = null, rate = null, seed = 0 } = options;
  if (rows !== null && !(Number.isSafeInteger(rows) && rows >= 0))
    invalid(`rows is a whole number from 0, not ${rows}`);
  if (rate !== null && !(Number.isFinite(rate) && rate > 0)) invalid(`rate is a number above 0, not ${rate}`);
  if (!Number.isSafeInteger(seed)) invalid(`seed is a whole number, not ${seed}`);
  const made = Object.entries(options.columns(generators)).map(([name, of]) => {
    const column = (of as Partial<Column>)[behind];
    if (!column) return invalid(`column '${name}' is made by g.sequence(), g.int(), …`);
    if (column.spec.kind === 'due' && rate === null)
      return invalid(`column '${name}' is due by the rate, so it needs one`);
    return { name, ...column };
  });
  const declared: Fields = Object.fromEntries(made.map(({ name, type }) => [name, type]));
  const columns = made.map(({ name, spec }) => ({ name, ...spec }));
  const label = rows === null ? `${made.length} columns` : `${rows} rows of ${made.length} columns`;
  const spec = { columns, rows, seed, rowsPerSecond: rate };
  return source('generator', label, spec, rows === null ? 'append' : 'bounded', schema(declared) as Schema<any>);
}

const behind = Symbol.for('millrace.generated');
interface Column {
  readonly [behind]: {
    readonly type: Type<any>;
    readonly spec: { readonly kind: string } & Readonly<Record<string, Json>>;
  };
}

const generators: ColumnGenerators = Object.freeze({
  sequence: ({ from = 0, step = 1 }: { from?: number | bigint; step?: number | bigint } = {}) =>
    generated<number>(t.bigint(), { kind: 'sequence', type: 'BIGINT', from: whole(from), step: whole(step) }),
  int: (min: number, max: number) => generated<number>(t.int(), { kind: 'int', type: 'INT', ...range(min, max) }),
  bigint: (min: number | bigint, max: number | bigint) =>
    generated<number>(t.bigint(), { kind: 'int', type: 'BIGINT', ...range(min, max) }),
  double: (min: number, max: number) => {
    if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max)) invalid(`double(${min}, ${max}) is no range`);
    return generated<number>(t.double(), { kind: 'double', min, max });
  },
  boolean: (probability = 0.5) => generated<boolean>(t.boolean(), { kind: 'boolean', probability: share(probability) }),
  text: ({ distinct, length, prefix = '' }: { distinct: number; length: number; prefix?: string }) =>
    generated<string>(t.string(), { kind: 'text', prefix, distinct, length }),
  time: (of: { start: Date | string; perSecond: number; disorder?: Duration; precision?: number }) => {
    const { precision = 3, perSecond, disorder = '0 ms' } = of;
    const start = new Date(of.start).getTime();
    if (Number.isNaN(start)) invalid(`start is a time such as '2026-01-01T00:00:00Z', not ${of.start}`);
    if (!(Number.isFinite(perSecond) && perSecond > 0)) invalid(`perSecond is a number above 0, not ${perSecond}`);
    const spec = { kind: 'time', precision, start, stepMs: 1000 / perSecond, disorderMs: durationMs(disorder) };
    return generated<Date>(t.timestamp(precision), spec);
  },
  due: (precision = 3) => generated<Date>(t.timestamp(precision), { kind: 'due', precision }),
  constant: <T>(type: Type<T>, of: T) => {
    const dataType = dataTypeOf(type);
    const value = constantOf(dataType, of);
    return generated<T>(type, { kind: 'constant', type: dataType as unknown as Json, value });
  },
});

function generated<T>(type: Type<any>, spec: Column[typeof behind]['spec']): Generated<T> {
  return Object.freeze({
    [behind]: Object.freeze({ type, spec }),
    nullable: (probability: number) => generated(type.nullable(), { ...spec, nulls: share(probability) }),
  }) as unknown as Generated<T>;
}

/** A value as JSON in its type's own units: DATE in days, TIMESTAMP in ticks of its precision. */
function constantOf(type: DataType, of: unknown): boolean | number | string {
  switch (type.kind) {
    case 'DATE':
      return Math.floor(new Date(of as Date).getTime() / 86_400_000);
    case 'TIMESTAMP':
      return String(BigInt(new Date(of as Date).getTime()) * BigInt(ticksPerMs(type.precision)));
    case 'BIGINT':
      return whole(of as number | bigint);
    case 'BOOLEAN':
    case 'INT':
    case 'DOUBLE':
    case 'VARCHAR':
      return of as boolean | number | string;
    default:
      return invalid(`a constant cannot be ${typeName(type)} yet`);
  }
}

function range(min: number | bigint, max: number | bigint): { min: number | string; max: number | string } {
  if (min > max) invalid(`${min} to ${max} is no range`);
  return { min: whole(min), max: whole(max) };
}

/** JSON of a whole number: beyond 2^53 a decimal string. */
function whole(given: number | bigint): number | string {
  if (typeof given === 'bigint') return Number.isSafeInteger(Number(given)) ? Number(given) : String(given);
  return Number.isSafeInteger(given)
    ? given
    : invalid(
        `${given} is no exact whole number; write it as a bigint, ${Number.isFinite(given) ? BigInt(Math.trunc(given)) : 5}n`,
      );
}

function share(probability: number): number {
  return probability >= 0 && probability <= 1
    ? probability
    : invalid(`a probability is from 0 to 1, not ${probability}`);
}

function invalid(what: string): never {
  throw new MillraceError('option/invalid', `generator: ${what}`);
}
