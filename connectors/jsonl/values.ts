/**
 * The slow way from a line to its values, and the meaning of the fast one: JSON.parse says what a line is, this file what
 * becomes of a value in a column. Whole numbers keep all their digits; what does not fit is refused with the column, what
 * it wants and what was found.
 */
import { describeKind, describeValue } from '../../core/base/describe.ts';
import { parseDecimal, unscaledOf } from '../../core/record/decimal.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import { ticksPerMs, typeName } from '../../core/record/types.ts';
import { parseDate, parseTimestamp } from '../text/times.ts';

/** A stored value: BOOLEAN as boolean, INT and DATE as number, BIGINT, DECIMAL and TIMESTAMP as bigint, DOUBLE as number, VARCHAR as string. */
export type Stored = null | boolean | number | bigint | string;

/** What is wrong with a line; its reader adds the place. */
export class BadLine extends Error {}

/** A leaf and where it is found in an object: a name, or a path of names through nested objects. */
export interface JsonLeaf {
  readonly column: LayoutColumn;
  readonly path: readonly string[];
}

/** Paths of the leaves of `layout`: as `fields` nests them, or, without fields, split at dots. */
export function leavesOf(layout: readonly LayoutColumn[], fields: Fields | null): readonly JsonLeaf[] {
  const paths = new Map<string, readonly string[]>();
  const visit = (from: Fields, above: readonly string[]): void => {
    for (const { name, type } of from) {
      if (type.kind === 'ROW') visit(type.fields, [...above, name]);
      else paths.set([...above, name].join('.'), [...above, name]);
    }
  };
  visit(fields ?? [], []);
  return layout.map((column) => ({ column, path: paths.get(column.name) ?? column.name.split('.') }));
}

/** The stored values of one line, by leaf. Errors: `BadLine`. */
export function lineValues(text: string, leaves: readonly JsonLeaf[]): Stored[] {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch (error) {
    throw new BadLine(`this is no JSON: ${(error as Error).message}`);
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw new BadLine(`expected an object, found ${describeKind(object)}`);
  }
  return leaves.map(({ column, path }) => {
    let value: unknown = object;
    for (const [depth, name] of path.entries()) {
      if (value === null || value === undefined) break;
      if (typeof value !== 'object' || Array.isArray(value)) {
        throw new BadLine(`column '${path.slice(0, depth).join('.')}' is a ROW; found ${found(value)}`);
      }
      value = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    }
    if (value === null || value === undefined) {
      if (column.nullable) return null;
      throw new BadLine(
        `column '${column.name}' (${typeName(column.type)}) is ${value === null ? 'null' : 'missing'}, but declared not null`,
      );
    }
    return storedOf(value, column, () => rawText(text, path));
  });
}

function storedOf(value: unknown, column: LayoutColumn, raw: () => string): Stored {
  const { type } = column;
  const no = (expected: string): never => {
    throw new BadLine(`column '${column.name}' (${typeName(type)}) expects ${expected}, found ${found(value)}`);
  };
  switch (type.kind) {
    case 'BOOLEAN':
      return typeof value === 'boolean' ? value : no('true or false');
    case 'INT':
    case 'BIGINT': {
      const bits = type.kind === 'INT' ? 32 : 64;
      const whole =
        typeof value === 'number' && !Number.isSafeInteger(value)
          ? wholeNumber(raw())
          : typeof value === 'number' || (typeof value === 'string' && /^-?\d{1,40}$/.test(value))
            ? BigInt(value)
            : null;
      if (whole === null || BigInt.asIntN(bits, whole) !== whole) return no(`a whole number of ${bits} bits`);
      return bits === 32 ? Number(whole) : whole;
    }
    case 'DOUBLE':
      if (typeof value === 'number') return value;
      return typeof value === 'string' ? (doubleOf(value) ?? no('a number')) : no('a number');
    case 'DECIMAL': {
      const exact =
        typeof value === 'number' ? parseDecimal(raw()) : typeof value === 'string' ? parseDecimal(value) : null;
      const unscaled = exact === null ? null : unscaledOf(exact, type.precision, type.scale);
      return (
        unscaled ??
        no(`a number of at most ${type.precision - type.scale} digits ahead of the point and ${type.scale} behind it`)
      );
    }
    case 'DATE':
      return (typeof value === 'string' ? dateOf(value) : null) ?? no(`a date such as "2001-01-31"`);
    case 'TIMESTAMP':
      return timestampOf(value, type, raw) ?? no(`an ISO timestamp or whole milliseconds since 1970`);
    default:
      return typeof value === 'string' ? value : raw();
  }
}

/** A number's text as an exact integer; null when it has a fraction, or is beyond all use. */
function wholeNumber(raw: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(raw);
  if (!match) return null;
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  const shift = Number(exponent) - fraction.length;
  const digits = `${whole}${fraction}`;
  if (/^0+$/.test(digits)) return 0n;
  if (digits.length + Math.abs(shift) > 4000) return null;
  if (shift >= 0) return BigInt(`${sign}${digits}${'0'.repeat(shift)}`);
  const kept = digits.slice(0, Math.max(0, digits.length + shift));
  return /^0*$/.test(digits.slice(kept.length)) && kept !== '' ? BigInt(`${sign}${kept}`) : null;
}

/** What JSON has no numbers for, and numbers that a program wrote as strings. */
function doubleOf(text: string): number | null {
  if (text === 'NaN') return Number.NaN;
  if (text === 'Infinity' || text === '-Infinity') return Number(text);
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : null;
}

/** A date, or a timestamp at midnight UTC, which is what JavaScript makes of one. */
function dateOf(text: string): number | null {
  const days = parseDate(text);
  if (days !== null) return BigInt.asIntN(32, BigInt(days)) === BigInt(days) ? days : null;
  const ms = parseTimestamp(text, 3);
  return ms !== null && ms % 86_400_000n === 0n ? Number(ms / 86_400_000n) : null;
}

function timestampOf(value: unknown, type: DataType & { kind: 'TIMESTAMP' }, raw: () => string): bigint | null {
  let ticks: bigint | null = null;
  if (typeof value === 'string') ticks = parseTimestamp(value, type.precision);
  else if (typeof value === 'number') {
    const ms = Number.isSafeInteger(value) ? BigInt(value) : wholeNumber(raw());
    ticks = ms === null ? null : ms * BigInt(ticksPerMs(type.precision));
  }
  return ticks !== null && BigInt.asIntN(64, ticks) === ticks ? ticks : null;
}

const found = (value: unknown): string => `${describeValue(value)}, ${describeKind(value)}`;

/** The text of the value at `path` in valid JSON: the last one where a name comes twice, as JSON.parse has it. */
export function rawText(text: string, path: readonly string[]): string {
  let from = 0;
  let to = text.length;
  for (const name of path) {
    let place: readonly [number, number] | null = null;
    let i = skipSpace(text, from) + 1;
    for (;;) {
      i = skipSpace(text, i);
      if (i >= to || text[i] === '}') break;
      const nameEnd = endOfValue(text, i);
      const isIt = JSON.parse(text.slice(i, nameEnd)) === name;
      i = skipSpace(text, skipSpace(text, nameEnd) + 1);
      const end = endOfValue(text, i);
      if (isIt) place = [i, end];
      i = skipSpace(text, end);
      if (text[i] === ',') i++;
    }
    if (place === null) return '';
    [from, to] = place;
  }
  return text.slice(from, to).trim();
}

function skipSpace(text: string, from: number): number {
  let i = from;
  while (i < text.length && text.charCodeAt(i) <= 0x20) i++;
  return i;
}

/** The end of the value that begins at `from`. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const c = text[i];
    if (c === '"') {
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (depth === 0) return i + 1;
    } else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') {
      if (depth === 0) return i;
      if (--depth === 0) return i + 1;
    } else if (depth === 0 && (c === ',' || text.charCodeAt(i) <= 0x20)) return i;
  }
  return text.length;
}
