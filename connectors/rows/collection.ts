/**
 * The `collection` source: an array of plain objects, read on the caller's thread. Options: `resource` (id of the
 * array), `schema` (Fields, or null: found by looking at all rows), `rows` (how many there are, or null). Replayable as long as
 * the array is not changed; a position is a row number.
 */
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, Json, SourceConnector } from '../../core/ports/connector.ts';
import { declaredFields, inferFields } from './fields.ts';
import { ended, oneSplit, resourceOf, rowReaderOf } from './row-source.ts';

export const collectionSource: SourceConnector = {
  kind: 'collection',

  async describe(spec, resource) {
    return {
      fields: declaredFields(spec) ?? inferFields(rowsOf(spec, resource)),
      bounded: true,
      estimatedRows: rowCount(spec, resource),
      place: 'caller',
      notes: ['rows are JavaScript objects, read on the thread that called run'],
    };
  },

  enumerate: async (spec, _request, _parallelism, resource) => oneSplit(rowCount(spec, resource)),

  reader(spec, request, context) {
    const rows = rowsOf(spec, context.resource);
    const fields = declaredFields(spec) ?? inferFields(rows);
    return rowReaderOf(spec, fields, request, context, (position) => {
      let at = position;
      return { next: () => (at < rows.length ? rows[at++] : ended), close() {} };
    });
  },
};

/** The spec of a collection with its columns and its number of rows. Errors: `schema/mismatch`. */
export function describedCollection(spec: ConnectorSpec, rows: unknown): ConnectorSpec {
  const array = arrayOf(spec, rows);
  const schema = declaredFields(spec) ?? inferFields(array);
  return { ...spec, options: { ...spec.options, rows: array.length, schema: schema as unknown as Json } };
}

function rowsOf(spec: ConnectorSpec, resource: (id: string) => unknown): readonly unknown[] {
  return arrayOf(spec, resourceOf(spec, resource));
}

function arrayOf(spec: ConnectorSpec, rows: unknown): readonly unknown[] {
  if (!Array.isArray(rows))
    throw new MillraceError('option/invalid', `${spec.label}: a collection is an array of rows`);
  return rows;
}

/** Known without the rows: planning happens in a thread that does not have them. */
function rowCount(spec: ConnectorSpec, resource: (id: string) => unknown): number | null {
  if (typeof spec.options.rows === 'number') return spec.options.rows;
  const rows = typeof spec.options.resource === 'string' ? resource(spec.options.resource) : undefined;
  return Array.isArray(rows) ? rows.length : null;
}
