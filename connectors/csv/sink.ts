/** The `csv` sink. Options: those of the dialect (dialect.ts), and of all text files (text/sink.ts). */
import { MillraceError } from '../../core/base/errors.ts';
import type { SinkConnector } from '../../core/ports/connector.ts';
import { textSink } from '../text/sink.ts';
import { columnNames, dialectOf } from './dialect.ts';
import { csvEncoder } from './encode.ts';

export const csvSink: SinkConnector = textSink({
  kind: 'csv',
  extensions: ['.csv', '.tsv'],
  check(spec, fields) {
    const { nullText } = dialectOf(spec);
    columnNames(fields);
    if (valueLike.test(nullText)) {
      throw new MillraceError(
        'option/invalid',
        `${spec.label}: nullText '${nullText}' could be a value, which nobody could tell from NULL; take another one, such as 'NULL' or '\\N'`,
      );
    }
  },
  encoder: (spec, fields, context, changelog) => csvEncoder(fields, context.memory, dialectOf(spec), changelog),
});

const valueLike = /^(?:[+-]?\.?\d.*|true|false|[+-]?(?:nan|inf|infinity))$/i;
