// biome-ignore-all lint/suspicious/noExplicitAny: a source without a schema reads rows of type `any`
/**
 * Sources as values. What a plan holds of them, by `connector.kind` (`options.resource` names a value that is no JSON):
 *
 * | kind | options | the resource |
 * |---|---|---|
 * | `parquet`, `jsonl`, `csv` | `path`; `roll`: `{ bytes, everyMs }`, if given; jsonl and csv: `schema`, if declared; `onError`, if given | |
 * | | csv: `delimiter`, `header`, `nullText`, if given; jsonl and csv: `partitionBy`, `partitionCommit`: `{ time, delayMs }`, if given | |
 * | | `watch(…)`: `watch`: `{ everyMs, settleMs }`; `follow(jsonl(…))`: `follow`: `{ everyMs, from, onLost }` | |
 * | `arrow` | `resource` | an apache-arrow Table or RecordBatch, or an array of either |
 * | `collection` | `resource`; `schema`, if declared | a readonly array of row objects |
 * | `iterable` | `resource`, `bounded`, `schema` | an AsyncIterable or Iterable of row objects, or a function that makes one |
 * | `channel` | `resource`, `capacity`, `schema` | a `RowQueue` (channel.ts) |
 * | `generator` | `columns`, `rows`, `seed`, `rowsPerSecond` (generator.ts) | |
 * | `nexmark` | `of`, `events`, `seed`, `rate`, `paced`, `startMs`, `disorderMs`, `hot` (nexmark.ts) | |
 *
 * `schema` is the declared one, where there is any: rows of this program have no other.
 *
 * Places know ports, not streams; constructing one opens nothing.
 */
import { bytesOf, type Duration, durationMs, type Size } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { Json } from '../ports/connector.ts';
import type { Fields as PlainFields } from '../record/types.ts';
import { once, policyOf } from './checks.ts';
import type { Mode } from './modes.ts';
import {
  type ErringFiles,
  type ErringSource,
  type Files,
  type Place,
  placeValue,
  type Sink,
  type Source,
  sourceOf,
} from './place.ts';
import { fieldsOf, type Schema } from './schema.ts';

export interface FileOptions<R, C extends boolean = false> {
  /** Read: a checked cast of the file's columns. Written: what the rows must fit. Without it, the file's own columns. */
  readonly schema?: Schema<R>;
  /** Written rows carry their kind in a first column `row_kind`, and so may be corrections of earlier ones. */
  readonly changelog?: C;
  /**
   * Written with `changelog`: columns by which a reader knows rows. An update is then told as the row that is, `+U`, alone; rows of
   * one key come in order, in one file, and of several rows that have one key one stands (docs/changelogs.md).
   */
  readonly key?: string | readonly string[];
  /** Written, of a directory: when a file is closed and the next begun. With a state directory, every checkpoint closes it too. */
  readonly roll?: RollOptions;
}
export interface RollOptions {
  /** Behind the batch with which a file has so many bytes: `'128mb'`. */
  readonly size?: Size;
  /** Before the first row that comes so long after the file's first one: `'1 minute'`. */
  readonly every?: Duration;
}
export interface JsonlOptions<R, C extends boolean = false, E extends OnError = OnError> extends FileOptions<R, C> {
  /**
   * What a line that cannot be read does: fails the job (unless said), is counted and left out (`skip`), or goes to the side
   * output `errors` of the stream.
   */
  readonly onError?: E;
  /**
   * Written, with a state directory: columns whose values name a directory for the rows that have them, `dt=2001-01-31/hm=10%3A00`.
   * They are not in the files.
   */
  readonly partitionBy?: string | readonly string[];
  /** When a partition is whole: an empty file `_SUCCESS` appears in it. */
  readonly partitionCommit?: PartitionCommitOptions;
}
export interface PartitionCommitOptions {
  /** The time of a partition, made of its columns: `'$dt $hm:00'`. */
  readonly time: string;
  /** How far event time must be behind it: the length of a partition, usually. */
  readonly delay: Duration;
}
export type OnError = 'fail' | 'skip' | 'side';
/** A changelog is written, not read back as one. */
export type FilesOrChangelog<R, C extends boolean, E extends OnError = 'fail'> = C extends true
  ? Sink<R, Mode>
  : 'side' extends E
    ? ErringFiles<R>
    : Files<R>;

/**
 * A Parquet file, a directory of them or a pattern (`history/*.parquet`); written, a directory or one file. (`E` as in jsonl, so that either may be called.)
 */
export function parquet<R = any, const C extends boolean = false, const E extends OnError = 'fail'>(
  path: string,
  options: FileOptions<R, C> = {},
): FilesOrChangelog<R, C, E> {
  return file('parquet', path, options);
}

/** A file of one JSON object a line, a directory of them or a pattern; written, a directory or one file. */
export function jsonl<R = any, const C extends boolean = false, const E extends OnError = 'fail'>(
  path: string,
  options: JsonlOptions<R, C, E> = {},
): FilesOrChangelog<R, C, E> {
  const { onError } = options;
  policyOf('jsonl()', onError);
  return file('jsonl', path, options, {
    ...(onError === undefined ? {} : { onError }),
    ...partitioned('jsonl()', options),
  });
}

function partitioned(
  of: string,
  { partitionBy, partitionCommit }: JsonlOptions<any, boolean>,
): Readonly<Record<string, Json>> {
  if (partitionBy === undefined) {
    if (partitionCommit === undefined) return {};
    throw new MillraceError('option/invalid', `partitionCommit of ${of} wants partitionBy: the columns of a partition`);
  }
  const columns = typeof partitionBy === 'string' ? [partitionBy] : partitionBy;
  if (columns.length === 0)
    throw new MillraceError('option/invalid', `partitionBy of ${of} names columns, one at least`);
  once(`partitionBy of ${of}`, columns);
  if (partitionCommit === undefined) return { partitionBy: columns };
  const delayMs = durationMs(partitionCommit.delay);
  if (delayMs < 0) {
    throw new MillraceError(
      'option/invalid',
      `the delay of partitionCommit is '0 ms' or longer, not '${partitionCommit.delay}'`,
    );
  }
  return { partitionBy: columns, partitionCommit: { time: partitionCommit.time, delayMs } };
}

export interface CsvOptions<R, C extends boolean = false, E extends OnError = OnError> extends JsonlOptions<R, C, E> {
  /** One ASCII character: a comma, unless said. */
  readonly delimiter?: string;
  /** The first record of each file names the columns (unless said); without it, they come in the order of the schema, or are `column0` on. */
  readonly header?: boolean;
  /** What stands for NULL where it is not quoted: nothing, unless said. */
  readonly nullText?: string;
}

/** A file of separated values, a directory of them or a pattern; written, a directory or one file. */
export function csv<R = any, const C extends boolean = false, const E extends OnError = 'fail'>(
  path: string,
  options: CsvOptions<R, C, E> = {},
): FilesOrChangelog<R, C, E> {
  const { onError, delimiter, header, nullText } = options;
  policyOf('csv()', onError);
  return file('csv', path, options, {
    ...(onError === undefined ? {} : { onError }),
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(header === undefined ? {} : { header }),
    ...(nullText === undefined ? {} : { nullText }),
    ...partitioned('csv()', options),
  });
}

export interface WatchOptions {
  /** How often the place is looked at where the system tells of no changes (network file systems): a minute, unless said. */
  readonly every?: Duration;
  /** How long a file must not have changed before it is taken: a second, unless said. Files that appear by renaming need none. */
  readonly settle?: Duration;
}
/**
 * Files that appear in a directory or under a pattern, as they come, without end: each is read once, when it is whole.
 * Restored, the job goes on with those that it has not read. Without a schema, there must be a file when the job begins.
 */
export function watch<R>(files: ErringFiles<R>, options?: WatchOptions): ErringSource<R, 'append'>;
export function watch<R>(files: Files<R>, options?: WatchOptions): Source<R, 'append'>;
export function watch<R>(files: Source<R, 'bounded'>, options: WatchOptions = {}): Source<R, 'append'> {
  const { every = '1 minute', settle = '1 second' } = options;
  const settleMs = durationMs(settle);
  if (settleMs < 0) throw new MillraceError('option/invalid', `settle of watch() is '0 ms' or longer, not '${settle}'`);
  return endless('watch', files, ['jsonl', 'csv', 'parquet'], {
    everyMs: positiveMs('every of watch()', every),
    settleMs,
  });
}

export interface FollowOptions {
  /** How often the file is looked at where the system tells of no changes: ten seconds, unless said. */
  readonly every?: Duration;
  /** Where a job begins that has no checkpoint: at the first line, unless said, or with the first that is to come. */
  readonly from?: 'start' | 'end';
  /** When the file was cut, or rotated and removed before it was read: fails the job, unless said, or reads on in what is there. */
  readonly onLost?: 'fail' | 'restart';
}
/** Lines of one file as they are appended to it, without end; also when it is rotated by renaming. */
export function follow<R>(file: ErringFiles<R>, options?: FollowOptions): ErringSource<R, 'append'>;
export function follow<R>(file: Files<R>, options?: FollowOptions): Source<R, 'append'>;
export function follow<R>(file: Source<R, 'bounded'>, options: FollowOptions = {}): Source<R, 'append'> {
  const { every = '10 seconds', from = 'start', onLost = 'fail' } = options;
  oneOf('from of follow()', from, ['start', 'end']);
  oneOf('onLost of follow()', onLost, ['fail', 'restart']);
  return endless('follow', file, ['jsonl'], { everyMs: positiveMs('every of follow()', every), from, onLost });
}

function endless<V>(verb: 'watch' | 'follow', files: unknown, kinds: readonly string[], options: Json): V {
  const { connector, schema } = sourceOf(files);
  if (!kinds.includes(connector.kind)) {
    throw new MillraceError(
      'option/invalid',
      `${verb}() takes ${kinds.map((kind) => `${kind}(path)`).join(' or ')}, not ${connector.kind}`,
    );
  }
  const declared = schema === null ? {} : { schema: schema as unknown as Json };
  return placeValue({
    connector: { ...connector, options: { ...connector.options, ...declared, [verb]: options } },
    schema,
    reads: true,
    writes: false,
    mode: 'append',
    resource: null,
  });
}

function positiveMs(name: string, text: string): number {
  const ms = durationMs(text);
  if (ms > 0) return ms;
  throw new MillraceError('option/invalid', `${name} is longer than nothing, not '${text}'`);
}

function oneOf(name: string, given: string, allowed: readonly string[]): void {
  if (allowed.includes(given)) return;
  throw new MillraceError(
    'option/invalid',
    `${name} is ${allowed.map((one) => `'${one}'`).join(' or ')}, not ${JSON.stringify(given)}`,
  );
}

/** Rows of this program. Without a schema, the columns are those of the rows. They are read from this array when the job runs. */
export function collection<R>(rows: readonly R[], options: { readonly schema?: Schema<R> } = {}): Source<R, 'bounded'> {
  if (!Array.isArray(rows))
    throw new MillraceError('option/invalid', `collection() takes an array of rows, not a ${typeof rows}`);
  return rowSource('collection', `collection of ${rows.length}`, {}, 'bounded', options.schema, { value: rows });
}

/** The part of apache-arrow's Table and RecordBatch that names them; `arrowTable` takes the real ones. */
export interface ArrowBatch {
  readonly numRows: number;
  readonly schema: { readonly fields: readonly { readonly name: string }[] };
  getChild(name: string): ArrowVector | null;
}
export interface ArrowVector {
  readonly length: number;
  get(index: number): any;
}

/** An apache-arrow Table, RecordBatch or array of batches. Buffers that are shared memory cross into the slots without a copy. */
export function arrowTable<R = any>(
  table: ArrowBatch | readonly ArrowBatch[],
  options: { readonly schema?: Schema<R> } = {},
): Source<R, 'bounded'> {
  const batches: readonly Partial<ArrowBatch>[] = Array.isArray(table) ? table : [table];
  if (!batches.every((batch) => typeof batch?.getChild === 'function' && typeof batch.numRows === 'number')) {
    throw new MillraceError(
      'option/invalid',
      'arrowTable() takes a Table or RecordBatch of apache-arrow, or an array of them',
    );
  }
  const rows = batches.reduce((all, batch) => all + (batch.numRows ?? 0), 0);
  return source('arrow', `Arrow table of ${rows}`, {}, 'bounded', options.schema, { value: table });
}

export interface IterableOptions<R, B extends boolean = false> {
  readonly schema: Schema<R>;
  /** The iterable ends by itself and everything before the end is history, as in a file. */
  readonly bounded?: B;
}
/** Rows of an iterable or an asynchronous one, pulled as the job takes them, on the thread that runs the job. */
export function iterable<R, const B extends boolean = false>(
  rows: AsyncIterable<NoInfer<R>> | Iterable<NoInfer<R>> | (() => AsyncIterable<NoInfer<R>> | Iterable<NoInfer<R>>),
  options: IterableOptions<R, B>,
): Source<R, B extends true ? 'bounded' : 'append'> {
  const given = rows as { [Symbol.asyncIterator]?: unknown; [Symbol.iterator]?: unknown } | null | undefined;
  if (typeof given !== 'function' && !given?.[Symbol.asyncIterator] && !given?.[Symbol.iterator]) {
    throw new MillraceError(
      'option/invalid',
      'iterable() takes an iterable, an asynchronous one, or a function that makes one',
    );
  }
  const bounded = options.bounded === true;
  return rowSource('iterable', 'iterable', { bounded }, bounded ? 'bounded' : 'append', options.schema, {
    value: rows,
  });
}

/** Row objects of this program: their connector reads them by the declared schema. */
export function rowSource<V>(
  kind: string,
  label: string,
  options: Readonly<Record<string, Json>>,
  mode: Mode,
  schema: Schema<any> | undefined,
  resource: Place['resource'],
  more: object = {},
): V {
  const declared = schema === undefined ? {} : { schema: fieldsOf(schema) as unknown as Json };
  return source(kind, label, { ...options, ...declared }, mode, schema, resource, more);
}

/** A place that is only read. */
export function source<V>(
  kind: string,
  label: string,
  options: Readonly<Record<string, Json>>,
  mode: Mode,
  schema: Schema<any> | undefined,
  resource: Place['resource'] = null,
  more: object = {},
): V {
  const fields = schema === undefined ? null : fieldsOf(schema);
  return placeValue(
    {
      connector: { kind, label, options: withSchema(kind, options, fields) },
      schema: fields,
      reads: true,
      writes: false,
      mode,
      resource,
    },
    more,
  );
}

/** Places that have no columns of their own are told the declared ones. */
function withSchema(
  kind: string,
  options: Readonly<Record<string, Json>>,
  fields: PlainFields | null,
): Readonly<Record<string, Json>> {
  const told = kind === 'jsonl' || kind === 'csv' || kind === 'collection' || kind === 'iterable' || kind === 'channel';
  return told && fields !== null ? { ...options, schema: fields as unknown as Json } : options;
}

function file<V>(
  kind: string,
  path: string,
  { schema, changelog, key, roll }: FileOptions<any, boolean>,
  more: Readonly<Record<string, Json>> = {},
): V {
  if (typeof path !== 'string' || path === '') {
    throw new MillraceError('option/invalid', `${kind}() takes the path of a file, not ${JSON.stringify(path)}`);
  }
  const options = {
    path,
    ...more,
    ...(roll === undefined ? {} : { roll: rolled(kind, roll) }),
    ...(changelog ? { changelog: true } : {}),
  };
  const label = path.slice(path.replace(/[\\/]+$/, '').search(/[^\\/]+$/));
  const fields = schema === undefined ? null : fieldsOf(schema);
  return placeValue({
    connector: {
      kind,
      label,
      options: withSchema(kind, options, fields),
      ...(key === undefined ? {} : { upsertKey: upsertKey(`${kind}()`, key, changelog === true, more.partitionBy) }),
      ...('partitionCommit' in more ? { eventTime: true } : {}),
    },
    schema: fields,
    reads: !changelog,
    writes: true,
    mode: 'bounded',
    resource: null,
  });
}

/** Columns by which a sink knows rows. Errors: `option/invalid`. */
export function upsertKey(of: string, given: unknown, changes: boolean, partitionBy?: Json): readonly string[] {
  const key = typeof given === 'string' ? [given] : given;
  if (!Array.isArray(key) || key.length === 0 || key.some((name) => typeof name !== 'string'))
    throw new MillraceError('option/invalid', `key of ${of} names columns, one at least`);
  if (!changes) {
    throw new MillraceError(
      'option/invalid',
      `key of ${of} says by what a reader of changes knows rows; ask for changes too: { ${of === 'callback()' ? 'changes' : 'changelog'}: true, key: … }`,
    );
  }
  const outside = Array.isArray(partitionBy) ? partitionBy.find((name) => !key.includes(name)) : undefined;
  if (outside !== undefined) {
    throw new MillraceError(
      'option/invalid',
      `${of} is partitioned by '${outside}', which is not in its key: an update would leave what was before in another partition; add it to the key`,
    );
  }
  return once(`key of ${of}`, key as string[]);
}

function rolled(kind: string, { size, every }: RollOptions): Json {
  if (size === undefined && every === undefined) {
    throw new MillraceError('option/invalid', `roll of ${kind}() is { size, every }, one of them at least`);
  }
  const everyMs = every === undefined ? null : durationMs(every);
  if (everyMs !== null && everyMs <= 0) {
    throw new MillraceError('option/invalid', `roll of ${kind}(): '${every}' is no time to wait`);
  }
  return { bytes: size === undefined ? null : bytesOf(size), everyMs };
}
