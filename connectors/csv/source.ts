/**
 * The `csv` source: files of separated values after RFC 4180. Options: `path` (file, directory or pattern), `schema`
 * (Fields, or null: found in the first records), `delimiter`, `header`, `nullText` (dialect.ts), `onError` ('fail', the
 * default; 'skip': bad records are counted and left out; 'side': they are rows of the side output), `watch`
 * (files/watch.ts).
 *
 * Splits are ranges of whole records. A position is the byte where the next record begins. Replayable as long as the files
 * are not changed.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, SourceConnector } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import { filesOf, listFiles, readError } from '../files/paths.ts';
import { discoverFiles, watchNote, watchOf } from '../files/watch.ts';
import { declaredFields } from '../rows/fields.ts';
import { columnNameOf, columnNames, csvExtensions, type Dialect, dialectOf } from './dialect.ts';
import { beginningOf, namesIn, placesOf, textsOf } from './header.ts';
import { inferColumns } from './infer.ts';
import { csvReader } from './reader.ts';
import { FieldKind, recordFields, scanRecord } from './records.ts';
import { splitOf, splitsOf } from './splits.ts';

export const csvSource: SourceConnector = {
  kind: 'csv',

  async describe(spec) {
    const watched = watchOf(spec);
    const path = pathOf(spec);
    const dialect = dialectOf(spec);
    onErrorOf(spec);
    const declared = declaredFields(spec);
    const given = declared === null ? null : columnNames(declared);
    const files = watched ? listFiles(path, csvExtensions).files : filesOf(path, csvExtensions);
    const bytes = files.reduce((sum, file) => sum + sizeOf(file), 0);
    const names = firstNames(files, dialect, given);
    if (given && names) placesOf(given, names.names, names.path, dialect);
    return {
      fields: declared ?? inferFiles(files, spec, dialect),
      bounded: !watched,
      estimatedRows: null,
      place: 'slot',
      notes: [
        ...(watched ? [watchNote(watched)] : []),
        `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytes} bytes`,
        declared ? 'columns as declared' : `columns found in the first ${sampleRows} records`,
      ],
    };
  },

  async enumerate(spec, _request, parallelism) {
    const { delimiter } = dialectOf(spec);
    const files = filesOf(pathOf(spec), csvExtensions).map((path) => ({ path, size: sizeOf(path) }));
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const target = Math.max(splitBytesMin, Math.min(splitBytesMax, Math.ceil(bytes / (parallelism * splitsPerSlot))));
    const splits = [];
    for (const { path, size } of files) {
      // Alone, a reader needs no cuts: its position says where it is.
      const count = parallelism === 1 ? 1 : Math.max(1, Math.round(size / target));
      splits.push(...(await splitsOf(path, size, count, delimiter)));
    }
    return splits;
  },

  discover(spec, _request, context) {
    const watched = watchOf(spec);
    if (!watched) return null;
    return discoverFiles(pathOf(spec), csvExtensions, watched, context, ({ path, bytes, inode }) => [
      splitOf(path, 0, bytes, bytes, inode),
    ]);
  },

  reader(spec, { layout }, context) {
    const declared = declaredFields(spec);
    const nameOf = columnNameOf(declared);
    return csvReader(
      {
        dialect: dialectOf(spec),
        layout,
        wanted: layout.map((column) => nameOf(column.name)),
        given: declared === null ? null : columnNames(declared),
        skip: onErrorOf(spec) !== 'fail',
      },
      context,
    );
  },
};

const splitBytesMin = 1024 * 1024;
const splitBytesMax = 32 * 1024 * 1024;
const splitsPerSlot = 4;
const sampleRows = 1000;
const sampleBytes = 4 * 1024 * 1024;

function pathOf(spec: ConnectorSpec): string {
  const { path } = spec.options;
  if (typeof path === 'string' && path !== '') return path;
  throw new MillraceError('option/invalid', `${spec.label}: a csv source needs a path`);
}

function onErrorOf(spec: ConnectorSpec): 'fail' | 'skip' | 'side' {
  const onError = spec.options.onError ?? 'fail';
  if (onError === 'fail' || onError === 'skip' || onError === 'side') return onError;
  throw new MillraceError('option/invalid', `csv: onError is 'fail', 'skip' or 'side', not '${String(onError)}'`);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw readError(error, path);
  }
}

function opened<T>(path: string, work: (fd: number) => T): T {
  try {
    const fd = openSync(path, 'r');
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw readError(error, path);
  }
}

/** Column names of the first file that has any. */
function firstNames(files: readonly string[], dialect: Dialect, given: readonly string[] | null) {
  for (const path of files) {
    const names = opened(path, (fd) => namesIn(fd, path, dialect, given));
    if (names !== null) return { path, names };
  }
  return null;
}

/** Columns of the first file; their types from the first records of all. Errors: `source/unsupported` where there is none. */
function inferFiles(files: readonly string[], spec: ConnectorSpec, dialect: Dialect): Fields {
  const first = firstNames(files, dialect, null);
  if (first === null) {
    throw new MillraceError(
      'source/unsupported',
      `${spec.label}: there are no records to find columns in; declare a schema`,
      { where: { path: files[0] ?? pathOf(spec) } },
    );
  }
  const { names } = first;
  const rows: (string | null)[][] = [];
  for (const path of files) {
    if (rows.length >= sampleRows) break;
    const own = opened(path, (fd) => namesIn(fd, path, dialect, null));
    if (own === null) continue;
    const places = placesOf(names, own, path, dialect);
    for (const row of opened(path, (fd) => sampleOf(fd, dialect, own.length, sampleRows - rows.length)))
      rows.push(places.map((place) => row[place]!));
  }
  return inferColumns(names, rows);
}

/** The first whole records of a file; those of another width are left out here, and met when they are read. */
function sampleOf(fd: number, { delimiter, header, nullText }: Dialect, width: number, count: number) {
  const { u8, at, end } = beginningOf(fd, sampleBytes);
  const record = recordFields(width);
  const rows: (string | null)[][] = [];
  let next = at;
  for (let n = header ? -1 : 0; n < count && next < end; n++) {
    const then = scanRecord(u8, next, end, delimiter, record);
    if (then < 0) break;
    next = then;
    if (n < 0 || record.count !== width || record.badAt >= 0) continue;
    const texts = textsOf(u8, record);
    rows.push(texts.map((text, i) => (record.kind[i] === FieldKind.plain && text === nullText ? null : text)));
  }
  return rows;
}
