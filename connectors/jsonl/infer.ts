/** Column types of JSON lines, found by looking at the first of them. Samples cannot prove that nothing is null: every column is nullable. */
import type { DataType, Field, Fields } from '../../core/record/types.ts';
import { parseDate, parseTimestamp } from '../text/times.ts';

/** What was seen of one place in the objects. */
interface Seen {
  kind: 'nothing' | 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'DATE' | 'TIMESTAMP' | 'VARCHAR' | 'ROW' | 'JSON';
  /** Of a TIMESTAMP: 3 or 6. */
  precision: number;
  readonly members: Map<string, Seen>;
}

const nothing = (): Seen => ({ kind: 'nothing', precision: 3, members: new Map() });

/**
 * Columns of parsed objects, in the order in which they first appear. Whole numbers are BIGINT, others DOUBLE; texts that
 * are all ISO dates or timestamps are DATE or TIMESTAMP; objects are ROWs; arrays, and places that hold unlike things, are
 * VARCHAR and read as the JSON text that stands there; what is always null is VARCHAR.
 */
export function inferJson(objects: Iterable<object>): Fields {
  const root = nothing();
  for (const object of objects) observeMembers(root, object);
  return fieldsOf(root);
}

function observeMembers(into: Seen, object: object): void {
  for (const name of Object.keys(object)) {
    let member = into.members.get(name);
    if (member === undefined) {
      member = nothing();
      into.members.set(name, member);
    }
    observe(member, (object as Record<string, unknown>)[name]);
  }
}

function observe(seen: Seen, value: unknown): void {
  if (value === null) return;
  const [kind, precision] = kindOf(value);
  if (kind === 'TIMESTAMP') seen.precision = Math.max(seen.precision, precision);
  if (seen.kind === 'nothing') seen.kind = kind;
  else if (seen.kind !== kind) seen.kind = common(seen.kind, kind);
  if (kind === 'ROW' && seen.kind === 'ROW') observeMembers(seen, value as object);
}

function common(a: Seen['kind'], b: Seen['kind']): Seen['kind'] {
  const both = (x: Seen['kind'], y: Seen['kind']): boolean => (a === x && b === y) || (a === y && b === x);
  if (both('BIGINT', 'DOUBLE')) return 'DOUBLE';
  if (both('DATE', 'TIMESTAMP')) return 'TIMESTAMP';
  const text = (kind: Seen['kind']): boolean => kind === 'VARCHAR' || kind === 'DATE' || kind === 'TIMESTAMP';
  return text(a) && text(b) ? 'VARCHAR' : 'JSON';
}

function kindOf(value: unknown): readonly [Seen['kind'], number] {
  switch (typeof value) {
    case 'boolean':
      return ['BOOLEAN', 0];
    case 'number':
      return [Number.isInteger(value) && Math.abs(value) < 2 ** 63 && !Object.is(value, -0) ? 'BIGINT' : 'DOUBLE', 0];
    case 'string': {
      if (parseDate(value) !== null) return ['DATE', 0];
      if (parseTimestamp(value, 3) === null) return ['VARCHAR', 0];
      const fraction = /\.(\d+)/.exec(value)?.[1] ?? '';
      return ['TIMESTAMP', fraction.replace(/0+$/, '').length > 3 ? 6 : 3];
    }
    default:
      return [Array.isArray(value) ? 'JSON' : 'ROW', 0];
  }
}

function fieldsOf(seen: Seen): Fields {
  return [...seen.members].map(([name, member]): Field => ({ name, type: typeOf(member), nullable: true }));
}

function typeOf(seen: Seen): DataType {
  switch (seen.kind) {
    case 'TIMESTAMP':
      return { kind: 'TIMESTAMP', precision: seen.precision };
    case 'ROW':
      // An object without members has no columns to be: it is read as its text.
      return seen.members.size === 0 ? { kind: 'VARCHAR' } : { kind: 'ROW', fields: fieldsOf(seen) };
    case 'nothing':
    case 'JSON':
      return { kind: 'VARCHAR' };
    default:
      return { kind: seen.kind };
  }
}
