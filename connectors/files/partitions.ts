/**
 * A directory cut into partitions, as Hive lays them out: `dt=2015-07-15/hm=00%3A05/part-…`. The columns that name a partition
 * are not in its files. `options.partitionBy`: their names, in order; `options.partitionCommit`: `{ time, delayMs }`, when a
 * partition is told to be whole. It knows no format and no writer.
 */
import { MillraceError } from '../../core/base/errors.ts';
import { nearestNames } from '../../core/expr/nearest.ts';
import type { ConnectorSpec } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { isValid } from '../../core/record/column-reader.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { inlineBytesMax, readText } from '../../core/record/text.ts';
import { type Fields, typeName } from '../../core/record/types.ts';
import { dateText, parseTimestamp } from '../text/times.ts';

/** When a partition is whole. */
export interface PartitionCommit {
  /** `$dt $hm:00`: with the partition's values in their places, its time. */
  readonly time: string;
  /** No row follows in a partition that is so much older than event time. */
  readonly delayMs: number;
}

export interface Partitions {
  readonly columns: readonly string[];
  readonly commit: PartitionCommit | null;
}

/** What `spec` says; null: the directory is one. Errors: `option/invalid`. */
export function partitionsOf(spec: ConnectorSpec): Partitions | null {
  const { partitionBy = null, partitionCommit = null } = spec.options;
  if (partitionBy === null) return null;
  const columns = partitionBy as readonly string[];
  const commit = partitionCommit as unknown as PartitionCommit | null;
  if (commit === null) return { columns, commit };
  const named = [...commit.time.matchAll(variable)].map(([, name]) => name!);
  const unknown = named.find((name) => !columns.includes(name));
  if (named.length > 0 && unknown === undefined) return { columns, commit };
  throw new MillraceError(
    'option/invalid',
    `${spec.label}: the time '${commit.time}' of partitionCommit ${unknown === undefined ? 'names no column' : `names '${unknown}'`}; it is made of the columns of partitionBy, such as ${columns.map((name) => `$${name}`).join(', ')}, and reads as a timestamp`,
  );
}

const variable = /\$(\w+)/g;
const partitionTypes = ['VARCHAR', 'INT', 'BIGINT', 'DATE', 'BOOLEAN'];

/** Columns of the files of a partition. Errors: `plan/unknown-column`, `plan/unsupported`. */
export function fieldsWithout(spec: ConnectorSpec, fields: Fields, { columns }: Partitions): Fields {
  for (const name of columns) {
    const field = fields.find((one) => one.name === name);
    if (!field) {
      const names = fields.map((one) => one.name);
      const near = nearestNames(name, names);
      throw new MillraceError(
        'plan/unknown-column',
        `${spec.label}: partitionBy names '${name}', which is no column of the rows (${names.join(', ')})${near.length > 0 ? `; did you mean '${near[0]}'?` : ''}`,
      );
    }
    if (!partitionTypes.includes(field.type.kind)) {
      throw new MillraceError(
        'plan/unsupported',
        `${spec.label}: a ${typeName(field.type)} such as '${name}' names no partition; make it one of ${partitionTypes.join(', ')}, as dateFormat does of a timestamp`,
      );
    }
  }
  const left = fields.filter(({ name }) => !columns.includes(name));
  if (left.length > 0) return left;
  throw new MillraceError('plan/unsupported', `${spec.label}: partitionBy leaves no column for the files`);
}

/** What stands for NULL and for nothing in the name of a directory, in Hive and Flink. */
const nullPartition = '__HIVE_DEFAULT_PARTITION__';

/** A value as part of a directory's name: what paths and Hive give a meaning is written `%3A`. */
function escaped(value: string): string {
  if (value === '') return nullPartition;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they may not stand in names
  return value.replace(/["#%'*/:=?\\{}[\]^\u0000-\u001f\u007f]|^\.+$/g, (found) =>
    [...found].map((char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** The time of the partition in `directory` by `commit`, milliseconds. Errors: `sink/failed` where it has none. */
export function partitionTimeMs(directory: string, { time }: PartitionCommit): number {
  const values = new Map(
    directory.split('/').map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at), decodeURIComponent(part.slice(at + 1))] as const;
    }),
  );
  const text = time.replace(variable, (_, name: string) => values.get(name) ?? '');
  const ms = parseTimestamp(text, 3);
  if (ms !== null) return Number(ms);
  throw new MillraceError(
    'sink/failed',
    `the partition ${directory} has no time: '${time}' makes '${text}' of it, which is no timestamp such as 2001-01-31 10:00:00`,
  );
}

/** Rows of a batch by partition. */
export interface Partitioner {
  /** Calls `part` with the rows of each partition, as a batch of the columns that go into files; in one order of partitions. */
  split(batch: Batch, part: (directory: string, rows: Batch) => void): void;
}

/** `commit`: partitions must have times. */
export function partitioner(
  fields: Fields,
  { columns, commit }: Partitions,
  memory: SlotMemory,
  batchRows: number,
): Partitioner {
  const layout = layoutOf(fields);
  const keys = columns.map((name) =>
    keyColumn(
      name,
      layout.findIndex((one) => one.name === name),
      layout,
      memory,
    ),
  );
  const kept = layout.flatMap((column, i) => (columns.includes(column.name) ? [] : [i]));
  const { u32, arena } = memory;
  const selection = arena.allocate(batchRows * 4, 'rows of a partition');
  const groups = new Uint32Array(batchRows);
  const known = new Set<string>();
  const directoryOf = (row: number): string => {
    const directory = keys.map((key) => key.part(row)).join('/');
    if (commit !== null && !known.has(directory)) {
      partitionTimeMs(directory, commit);
      if (known.size >= knownMax) known.clear();
      known.add(directory);
    }
    return directory;
  };
  return {
    split(batch, part) {
      for (const key of keys) key.open(batch);
      const rowAt = (k: number): number => (batch.selection === 0 ? k : u32[(batch.selection >>> 2) + k]!);
      const directories: string[] = [];
      const found = new Map<string, number>();
      let group = 0;
      let before = -1;
      for (let k = 0; k < batch.size; k++) {
        const row = rowAt(k);
        if (before < 0 || !keys.every((key) => key.same(before, row))) {
          const directory = directoryOf(row);
          const seen = found.get(directory);
          group = seen ?? directories.length;
          if (seen === undefined) {
            found.set(directory, group);
            directories.push(directory);
          }
        }
        groups[k] = group;
        before = row;
      }
      const inner = { ...batch, layout: kept.map((i) => layout[i]!), columns: kept.map((i) => batch.columns[i]!) };
      if (directories.length === 1) {
        part(directories[0]!, inner);
        return;
      }
      for (const [index, directory] of directories.entries()) {
        let size = 0;
        for (let k = 0; k < batch.size; k++) if (groups[k] === index) u32[(selection >>> 2) + size++] = rowAt(k);
        part(directory, { ...inner, selection, size });
      }
    },
  };
}

const knownMax = 10_000;

interface KeyColumn {
  open(batch: Batch): void;
  /** Surely equal: rows come nearly in the order of partitions, and to compare is cheaper than to make a text. */
  same(a: number, b: number): boolean;
  /** `dt=2015-07-15` */
  part(row: number): string;
}

function keyColumn(name: string, leaf: number, layout: ReturnType<typeof layoutOf>, memory: SlotMemory): KeyColumn {
  const { u8, u32, i32, i64 } = memory;
  const { type, storage } = layout[leaf]!;
  let validity = 0;
  let values = 0;
  let views = 0;
  const bit = (row: number): number => (u8[values + (row >>> 3)]! >>> (row & 7)) & 1;
  const words = storage === 'i32' ? 1 : storage === 'i64' ? 2 : 4;
  const text = (row: number): string => {
    switch (type.kind) {
      case 'BOOLEAN':
        return bit(row) === 1 ? 'true' : 'false';
      case 'INT':
        return String(i32[(values >>> 2) + row]!);
      case 'DATE':
        return dateText(i32[(values >>> 2) + row]!);
      case 'BIGINT':
        return String(i64[(values >>> 3) + row]!);
      default:
        return readText(memory, views === 0 ? values + row * 16 : views + u32[(values >>> 2) + row]! * 16);
    }
  };
  return {
    open(batch) {
      const column = batch.columns[leaf]!;
      ({ validity, values } = column);
      views = column.dictionary ? column.dictionary.views : 0;
    },
    same(a, b) {
      if (!isValid(memory, validity, a) || !isValid(memory, validity, b)) return false;
      if (storage === 'bit') return bit(a) === bit(b);
      if (views !== 0) return u32[(values >>> 2) + a] === u32[(values >>> 2) + b];
      const first = (values >>> 2) + a * words;
      const second = (values >>> 2) + b * words;
      if (storage === 'view' && u32[first]! > inlineBytesMax) return false;
      for (let i = 0; i < words; i++) if (u32[first + i] !== u32[second + i]) return false;
      return true;
    },
    part: (row) => `${escaped(name)}=${isValid(memory, validity, row) ? escaped(text(row)) : nullPartition}`,
  };
}
