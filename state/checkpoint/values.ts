/**
 * Small values of operators as JSON text, exactly: what JSON lacks (bigint, −0, NaN, ±∞, bytes) is written as an object with
 * the one member `$…`. Plain data only: a value of any other kind is a mistake of ours.
 */
import { assert } from '../../core/base/assert.ts';

export function valuesToText(value: unknown): string {
  return JSON.stringify(toJson(value));
}

/** Errors: SyntaxError when it is no such text. */
export function valuesFromText(text: string): unknown {
  return fromJson(JSON.parse(text));
}

function toJson(value: unknown): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { $number: Object.is(value, -0) ? '-0' : `${value}` };
  }
  if (typeof value === 'bigint') return { $bigint: `${value}` };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(toJson);
  assert(
    typeof value === 'object' && !(value instanceof Map) && !(value instanceof Set),
    `a state value is a ${typeof value}`,
  );
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name.startsWith('$') ? `$${name}` : name, toJson(member)]),
  );
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  const entries = Object.entries(value);
  const [name, member] = entries[0] ?? [];
  if (entries.length === 1 && typeof member === 'string') {
    if (name === '$number') return Number(member);
    if (name === '$bigint') return BigInt(member);
    if (name === '$bytes') return new Uint8Array(Buffer.from(member, 'base64'));
  }
  // Own members whatever their names are: `__proto__` must not set a prototype.
  return Object.fromEntries(entries.map(([key, of]) => [key.startsWith('$$') ? key.slice(1) : key, fromJson(of)]));
}
