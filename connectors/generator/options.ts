/**
 * What a generated column is, as the plan holds it: JSON. Value n of a column is a function of the source's seed, the
 * column's name and n alone, so the rows are the same whatever the parallelism. Knows nothing of memory.
 */
import { MillraceError } from '../../core/base/errors.ts';
import type { Json } from '../../core/ports/connector.ts';
import type { DataType, Fields } from '../../core/record/types.ts';

/** A whole number; beyond 2^53 as a decimal string. */
export type Integer = number | string;

export type GeneratorColumn = {
  readonly name: string;
  /** Share of rows that are NULL, 0 to 1; absent: the column is not nullable. */
  readonly nulls?: number;
} & (
  | { readonly kind: 'sequence'; readonly type: 'INT' | 'BIGINT'; readonly from: Integer; readonly step: Integer }
  /** Uniform, both ends included. */
  | { readonly kind: 'int'; readonly type: 'INT' | 'BIGINT'; readonly min: Integer; readonly max: Integer }
  /** Uniform in [min, max). */
  | { readonly kind: 'double'; readonly min: number; readonly max: number }
  | { readonly kind: 'boolean'; readonly probability: number }
  /** `prefix`, then a uniform integer in [0, distinct), zero-padded so that the text has `length` bytes. `distinct` ≤ 2^32. */
  | { readonly kind: 'text'; readonly prefix: string; readonly distinct: number; readonly length: number }
  /**
   * TIMESTAMP(precision): start + floor(n × step) + a uniform delay in [0, disorder), so event time disorder − 1 ms
   * out of order holds every row. `start` in milliseconds since the epoch; steps may be fractions of a millisecond.
   */
  | {
      readonly kind: 'time';
      readonly precision: number;
      readonly start: Integer;
      readonly stepMs: number;
      readonly disorderMs: number;
    }
  /** TIMESTAMP(precision): the wall-clock time at which the row was due under `rowsPerSecond`. */
  | { readonly kind: 'due'; readonly precision: number }
  /** BIGINT and TIMESTAMP (ticks) as decimal strings or numbers, DATE as days. */
  | { readonly kind: 'constant'; readonly type: DataType; readonly value: boolean | number | string }
);

/** `ConnectorSpec.options` of kind `generator`. */
export interface GeneratorOptions {
  readonly columns: readonly GeneratorColumn[];
  /** null: without end. */
  readonly rows: number | null;
  readonly seed: number;
  /** Over all slots; null: flat out. */
  readonly rowsPerSecond: number | null;
}

export const textLengthMax = 256;

/** Reads and checks the options. Errors: `option/invalid`, naming the column. */
export function generatorOptions(from: Readonly<Record<string, Json>>): GeneratorOptions {
  const options = from as unknown as GeneratorOptions;
  const rows = options.rows ?? null;
  const rate = options.rowsPerSecond ?? null;
  if (!Array.isArray(options.columns) || options.columns.length === 0) invalid('it has no columns');
  if (rows !== null && !(Number.isSafeInteger(rows) && rows >= 0)) invalid(`rows is ${rows}; it is a whole number ≥ 0`);
  if (rate !== null && !(rate > 0 && Number.isFinite(rate)))
    invalid(`rowsPerSecond is ${rate}; it is a number above 0`);
  for (const column of options.columns) {
    check(column);
    if (column.kind === 'due' && rate === null) invalid(`column '${column.name}' needs rowsPerSecond`);
  }
  return { columns: options.columns, rows, seed: options.seed ?? 0, rowsPerSecond: rate };
}

export function generatorFields(options: GeneratorOptions): Fields {
  return options.columns.map((c) => ({ name: c.name, type: typeOf(c), nullable: (c.nulls ?? 0) > 0 }));
}

function typeOf(column: GeneratorColumn): DataType {
  switch (column.kind) {
    case 'sequence':
    case 'int':
      return { kind: column.type };
    case 'double':
      return { kind: 'DOUBLE' };
    case 'boolean':
      return { kind: 'BOOLEAN' };
    case 'text':
      return { kind: 'VARCHAR' };
    case 'time':
    case 'due':
      return { kind: 'TIMESTAMP', precision: column.precision };
    case 'constant':
      return column.type;
  }
}

function check(column: GeneratorColumn): void {
  const no = (what: string): never => invalid(`column '${column.name}': ${what}`);
  if (column.nulls !== undefined && !(column.nulls >= 0 && column.nulls <= 1)) no('nulls is a share from 0 to 1');
  switch (column.kind) {
    case 'sequence':
      integer(column.from, no);
      integer(column.step, no);
      return;
    case 'int': {
      const min = integer(column.min, no);
      const max = integer(column.max, no);
      const bits = column.type === 'INT' ? 32 : 64;
      if (min > max) no(`min ${min} is above max ${max}`);
      if (BigInt.asIntN(bits, min) !== min || BigInt.asIntN(bits, max) !== max) no(`min or max is no ${column.type}`);
      return;
    }
    case 'double':
      if (!(column.min <= column.max)) no(`min ${column.min} is above max ${column.max}`);
      return;
    case 'boolean':
      if (!(column.probability >= 0 && column.probability <= 1)) no('probability is from 0 to 1');
      return;
    case 'text': {
      const { distinct, length, prefix } = column;
      if (!(Number.isSafeInteger(distinct) && distinct >= 1 && distinct <= 2 ** 32)) no('distinct is from 1 to 2^32');
      const room = length - Buffer.byteLength(prefix);
      if (length > textLengthMax) no(`length is at most ${textLengthMax}`);
      if (room < String(distinct - 1).length) no(`${length} bytes are too few for '${prefix}' and ${distinct - 1}`);
      return;
    }
    case 'time':
      integer(column.start, no);
      if (!(column.precision >= 0 && column.precision <= 6)) no('precision is 0 to 6');
      if (!Number.isFinite(column.stepMs)) no('stepMs is a number');
      if (!(column.disorderMs >= 0 && Number.isSafeInteger(column.disorderMs))) no('disorderMs is a whole number ≥ 0');
      return;
    case 'due':
      if (!(column.precision >= 0 && column.precision <= 6)) no('precision is 0 to 6');
      return;
    case 'constant':
      return;
    default:
      no(`unknown kind '${(column as { kind: string }).kind}'`);
  }
}

function integer(value: Integer, no: (what: string) => never): bigint {
  try {
    return BigInt(value);
  } catch {
    return no(`${value} is not a whole number`);
  }
}

function invalid(what: string): never {
  throw new MillraceError('option/invalid', `generator: ${what}`);
}
