/** How a file of separated values is written: what its places' specs say, checked, and the names of its columns. */
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';

export const csvExtensions = ['.csv', '.tsv'] as const;

export interface Dialect {
  /** One byte. */
  readonly delimiter: number;
  /** The first record of each file names the columns. */
  readonly header: boolean;
  /** What stands for NULL where it is not quoted. */
  readonly nullText: string;
}

export const quoteByte = 0x22;
export const newlineByte = 0x0a;
export const returnByte = 0x0d;

/** `options.delimiter`, `.header`, `.nullText`. Errors: `option/invalid`. */
export function dialectOf(spec: ConnectorSpec): Dialect {
  const { delimiter = ',', header = true, nullText = '' } = spec.options;
  if (!isDelimiter(delimiter)) {
    throw invalid(
      spec,
      `the delimiter is one ASCII character, no quote and no line end, not ${JSON.stringify(delimiter)}`,
    );
  }
  if (typeof header !== 'boolean') throw invalid(spec, `header is true or false, not ${JSON.stringify(header)}`);
  if (typeof nullText !== 'string' || /["\r\n]/.test(nullText) || nullText.includes(delimiter)) {
    throw invalid(spec, `nullText is a text without quotes, line ends and delimiters, not ${JSON.stringify(nullText)}`);
  }
  return { delimiter: delimiter.charCodeAt(0), header, nullText };
}

const isDelimiter = (given: unknown): given is string =>
  typeof given === 'string' &&
  given.length === 1 &&
  given.charCodeAt(0) > 0 &&
  given.charCodeAt(0) < 0x80 &&
  !/["\r\n]/.test(given);

const invalid = (spec: ConnectorSpec, message: string): MillraceError =>
  new MillraceError('option/invalid', `${spec.label}: ${message}`);

/** Names of the leaves of `fields` in a flat file: a ROW's columns are called `window_start`. Errors: `plan/duplicate`. */
export function columnNames(fields: Fields): readonly string[] {
  const names: string[] = [];
  const visit = (from: Fields, prefix: string): void => {
    for (const { name, type } of from) {
      if (type.kind === 'ROW') visit(type.fields, `${prefix}${name}_`);
      else names.push(prefix + name);
    }
  };
  visit(fields, '');
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw new MillraceError('plan/duplicate', `two columns would be called '${twice}' in a csv file; rename one`);
}

/** From the name of a leaf to that of its column. */
export function columnNameOf(fields: Fields | null): (leaf: string) => string {
  if (fields === null) return (leaf) => leaf;
  const names = columnNames(fields);
  const byLeaf = new Map(layoutOf(fields).map((column, i) => [column.name, names[i]!]));
  return (leaf) => byLeaf.get(leaf) ?? leaf;
}
