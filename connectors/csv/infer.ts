/** Column types of separated values, found by looking at the first records. Samples cannot prove that nothing is NULL: every column is nullable. */
import type { DataType, Field, Fields } from '../../core/record/types.ts';
import { parseDate, parseTimestamp } from '../text/times.ts';

type Kind = 'nothing' | 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'DATE' | 'TIMESTAMP' | 'VARCHAR';

interface Seen {
  kind: Kind;
  precision: number;
}

/**
 * `rows`: texts by column, null where a field is NULL. true and false are BOOLEAN, whole numbers of 64 bits BIGINT, other
 * numbers DOUBLE, ISO dates DATE, ISO timestamps TIMESTAMP(3) or (6); whatever is mixed, or always NULL, is VARCHAR. So are
 * numbers with a leading zero: they are codes.
 */
export function inferColumns(names: readonly string[], rows: Iterable<readonly (string | null)[]>): Fields {
  const seen = names.map((): Seen => ({ kind: 'nothing', precision: 3 }));
  for (const row of rows) for (const [i, text] of row.entries()) if (text !== null && seen[i]) observe(seen[i], text);
  return names.map((name, i): Field => ({ name, type: typeOf(seen[i]!), nullable: true }));
}

function observe(seen: Seen, text: string): void {
  const kind = kindOf(text);
  if (kind === 'TIMESTAMP' && (/\.(\d+)/.exec(text)?.[1] ?? '').replace(/0+$/, '').length > 3) seen.precision = 6;
  if (seen.kind === 'nothing') seen.kind = kind;
  else if (seen.kind !== kind) seen.kind = common(seen.kind, kind);
}

const common = (a: Kind, b: Kind): Kind =>
  (a === 'BIGINT' && b === 'DOUBLE') || (a === 'DOUBLE' && b === 'BIGINT') ? 'DOUBLE' : 'VARCHAR';

function kindOf(text: string): Kind {
  if (/^(?:true|false)$/i.test(text)) return 'BOOLEAN';
  if (/^[+-]?(?:0|[1-9]\d*)$/.test(text)) {
    const value = BigInt(text.replace('+', ''));
    return BigInt.asIntN(64, value) === value ? 'BIGINT' : 'DOUBLE';
  }
  if (/^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return 'DOUBLE';
  if (parseDate(text) !== null) return 'DATE';
  return parseTimestamp(text, 3) === null ? 'VARCHAR' : 'TIMESTAMP';
}

function typeOf({ kind, precision }: Seen): DataType {
  if (kind === 'TIMESTAMP') return { kind, precision };
  return { kind: kind === 'nothing' ? 'VARCHAR' : kind };
}
