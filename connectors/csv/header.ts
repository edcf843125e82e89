/** The names of a file's columns, and where in it wanted columns are. */
import { readSync } from 'node:fs';
import { MillraceError } from '../../core/base/errors.ts';
import { nearestNames } from '../../core/expr/nearest.ts';
import { type Dialect, newlineByte } from './dialect.ts';
import { FieldKind, type RecordFields, recordFields, scanRecord, undouble } from './records.ts';

/** A header is this long at most. */
export const headerBytesMax = 1024 * 1024;
/** Columns of a file at most. */
export const csvColumnsMax = 16_384;

/** The fields of a record as texts. */
export function textsOf(u8: Uint8Array, record: RecordFields): string[] {
  return Array.from({ length: record.count }, (_, i) => {
    const from = record.from[i]!;
    const to = record.kind[i] === FieldKind.escaped ? undouble(u8, from, record.to[i]!) : record.to[i]!;
    return Buffer.from(u8.buffer, u8.byteOffset + from, to - from).toString('utf8');
  });
}

/** The first `bytes` of a file, behind its byte order mark, and where they begin; with a line end added to those of a whole file. */
export function beginningOf(
  fd: number,
  bytes: number,
): { readonly u8: Uint8Array; readonly at: number; readonly end: number } {
  const u8 = Buffer.alloc(bytes + 1);
  let end = 0;
  for (let n = -1; n !== 0 && end < bytes; end += n) n = readSync(fd, u8, end, bytes - end, end);
  const at = u8[0] === 0xef && u8[1] === 0xbb && u8[2] === 0xbf ? 3 : 0;
  if (end < bytes && end > at && u8[end - 1] !== newlineByte) u8[end++] = newlineByte;
  return { u8, at, end };
}

/** Names of the columns of an open file: its header's, or those given, or `column0` on; null where it holds no record. Errors: `source/corrupt`, `plan/duplicate`. */
export function namesIn(
  fd: number,
  path: string,
  { delimiter, header }: Dialect,
  given: readonly string[] | null,
): readonly string[] | null {
  if (!header && given !== null) return given;
  const { u8, at, end } = beginningOf(fd, headerBytesMax);
  if (at >= end) return null;
  const record = recordFields(csvColumnsMax);
  const next = scanRecord(u8, at, end, delimiter, record);
  if (next < 0 || record.badAt >= 0 || record.count > csvColumnsMax) {
    throw new MillraceError(
      'source/corrupt',
      `the first record of ${path} is none: at most ${csvColumnsMax} columns in ${headerBytesMax} bytes, quoted after RFC 4180`,
      { where: { path, position: 'line 1' } },
    );
  }
  if (!header) return Array.from({ length: record.count }, (_, i) => `column${i}`);
  const names = textsOf(u8, record);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw new MillraceError(
    'source/corrupt',
    `the header of ${path} has the column '${twice}' twice; rename one of them`,
    {
      where: { path, position: 'line 1' },
    },
  );
}

/** The place of each wanted column. Errors: `schema/mismatch`. */
export function placesOf(
  wanted: readonly string[],
  names: readonly string[],
  path: string,
  dialect: Dialect,
): number[] {
  return wanted.map((name) => {
    const place = names.indexOf(name);
    if (place >= 0) return place;
    const near = nearestNames(name, names);
    const hint = near.length > 0 ? `did you mean ${near.map((one) => `'${one}'`).join(' or ')}?` : '';
    const shown = names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '');
    const sole = names.length === 1 ? `; is '${String.fromCharCode(dialect.delimiter)}' the delimiter?` : '';
    throw new MillraceError(
      'schema/mismatch',
      `${path} has no column '${name}': its header names ${shown}${sole}${hint === '' ? '' : `; ${hint}`}${dialect.header ? '; without a header, say { header: false }' : ''}`,
      { where: { path, position: 'line 1' } },
    );
  });
}
