/** Values of the world as messages show them: short, on one line, never throwing. */

/** A value in at most about `max` characters: strings quoted, objects as JSON-like text. */
export function describeValue(value: unknown, max = 60): string {
  return cut(text(value, max, 0), max);
}

/** What kind of thing a value is, for people: `a string`, `null`, `a promise`, `an array`. */
export function describeKind(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  if (isPromise(value)) return 'a promise';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}

/** A whole number as people read it, 1234567 as 1,234,567. `Intl` does it too, and takes 15 ms the first time. */
export function grouped(n: number): string {
  return n.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function text(value: unknown, max: number, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(cut(value, max));
    case 'bigint':
      return `${cut(String(value), max)}n`;
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : objectText(value, max, depth);
    default:
      return String(value);
  }
}

function objectText(value: object, max: number, depth: number): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (depth >= 3) return '…';
  const parts: string[] = [];
  let length = 0;
  try {
    for (const name of Object.keys(value)) {
      const shown = text((value as Record<string, unknown>)[name], max, depth + 1);
      parts.push(Array.isArray(value) ? shown : `${name}: ${shown}`);
      length += shown.length + name.length;
      if (length > max) break;
    }
  } catch {
    parts.push('…');
  }
  return Array.isArray(value) ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
}

function cut(from: string, max: number): string {
  return from.length <= max ? from : `${from.slice(0, max)}…`;
}
