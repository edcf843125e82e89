// Lines of JSON into columns. The kernel takes flat objects of scalars as they mostly are, and leaves every line that is
// anything else (nested values that are wanted, wrong types, errors of any kind) to its caller, untouched in its bytes but
// for nothing: escapes are resolved in place only when the whole line has been taken. So the caller's slow way is the
// reference, and this one may refuse whatever it likes.
//
// Every line in [at, stop) ends with '\n', and 64 bytes may be read behind the last: no byte is looked at past the line
// being read but by wide loads. JSON strings hold no control characters, so any scan ends at the '\n'.
//
// context (u32 each): 0 at · 4 stop · 8 row · 12 rowsMax · 16 columns · 20 columnCount · 24 line (start of a line that was
//   refused) · 28 deferred (list) · 32 deferredCount · 36 deferredMax · 40 lines looked at so far
// column (64 bytes): 0 name · 4 nameLength · 8 kind · 12 values · 16 validity (0: not nullable) · 20 unit (ticksPerMs; precision << 8 | scale of a DECIMAL) · 24 nulls
//   (out: 1 when a null was written) · 28 seen (number of the line that has it) · 32 escaped (address of a text with escapes,
//   0: none) · 36 escapedLength · 40 u64 first bytes of the name · 48 u64 their mask
// deferred (16 bytes): row, column, address, length: a number that a product of exact doubles does not give.

const kindBit: u32 = 0;
const kindI32: u32 = 1;
const kindI64: u32 = 2;
const kindF64: u32 = 3;
const kindView: u32 = 4;
const kindDate: u32 = 5;
const kindTime: u32 = 6;
const kindDecimal: u32 = 8;
// kind 7: a wanted value that only the caller can read

const stopDone: i32 = 0;
const stopFull: i32 = 1;
const stopRefused: i32 = 2;

// @ts-ignore: decorator
@inline
function skipSpace(p: usize): usize {
  while (true) {
    const c = <u32>load<u8>(p);
    if (c > 0x20) return p;
    if (c != 0x20 && c != 0x09 && c != 0x0d) return p;
    p++;
  }
}

// @ts-ignore: decorator
@inline
function isDigit(c: u32): bool {
  return c - 0x30 < 10;
}

/**
 * Reads lines from `at` on until `stop`, `rowsMax` rows, or a line it refuses. Answers why it stopped; `at` and `row` are
 * behind the last line taken.
 */
export function jsonScan(context: usize): i32 {
  let at: usize = load<u32>(context);
  const stop: usize = load<u32>(context, 4);
  let row = load<u32>(context, 8);
  const rowsMax = load<u32>(context, 12);
  const columns: usize = load<u32>(context, 16);
  const columnCount = load<u32>(context, 20);
  let result = stopDone;
  while (at < stop) {
    if (row >= rowsMax || load<u32>(context, 32) + columnCount > load<u32>(context, 36)) {
      result = stopFull;
      break;
    }
    const first = skipSpace(at);
    if (load<u8>(first) == 0x0a) {
      at = first + 1;
      continue;
    }
    const deferred = load<u32>(context, 32);
    const end = scanLine(first, row, columns, columnCount, context);
    if (end == 0) {
      store<u32>(context, deferred, 32);
      store<u32>(context, <u32>at, 24);
      result = stopRefused;
      break;
    }
    at = end;
    row++;
  }
  store<u32>(context, <u32>at);
  store<u32>(context, row, 8);
  return result;
}

/** One object. Answers the address behind its '\n', or 0 to refuse. */
function scanLine(from: usize, row: u32, columns: usize, columnCount: u32, context: usize): usize {
  if (load<u8>(from) != 0x7b) return 0;
  let p = skipSpace(from + 1);
  let next: u32 = 0;
  let found: u32 = 0;
  let anyEscaped = false;
  const stamp = load<u32>(context, 40) + 1;
  store<u32>(context, stamp, 40);
  if (load<u8>(p) == 0x7d) {
    p++;
  } else {
    while (true) {
      if (load<u8>(p) != 0x22) return 0;
      p++;
      // The columns mostly come in their order.
      let column: usize = 0;
      let index = next;
      for (let tries: u32 = 0; tries < columnCount; tries++) {
        if (index >= columnCount) index = 0;
        const candidate = columns + (<usize>index << 6);
        if (nameIs(p, candidate)) {
          column = candidate;
          break;
        }
        index++;
      }
      if (column != 0) {
        p += load<u32>(column, 4) + 1;
        next = index + 1;
      } else {
        const name = p;
        p = skipText(p);
        // A name with escapes might be a column's: the caller resolves it.
        if (p == 0 || hasBackslash(name, p)) return 0;
      }
      p = skipSpace(p);
      if (load<u8>(p) != 0x3a) return 0;
      p = skipSpace(p + 1);
      if (column == 0) {
        p = skipValue(p);
        if (p == 0) return 0;
      } else {
        // A name that comes twice: the last one counts, which the caller knows how to find.
        if (load<u32>(column, 28) == stamp) return 0;
        store<u32>(column, stamp, 28);
        found++;
        store<u32>(column, 0, 32);
        p = readValue(p, row, column, index, context);
        if (p == 0) return 0;
        anyEscaped = anyEscaped || load<u32>(column, 32) != 0;
      }
      p = skipSpace(p);
      const c = load<u8>(p);
      p++;
      if (c == 0x2c) {
        p = skipSpace(p);
        continue;
      }
      if (c == 0x7d) break;
      return 0;
    }
  }
  p = skipSpace(p);
  if (load<u8>(p) != 0x0a) return 0;
  if (found != columnCount) {
    for (let i: u32 = 0; i < columnCount; i++) {
      const column = columns + (<usize>i << 6);
      if (load<u32>(column, 28) == stamp) continue;
      if (load<u32>(column, 8) == 7 || !writeNull(row, column)) return 0;
    }
  }
  if (anyEscaped) {
    for (let i: u32 = 0; i < columnCount; i++) {
      const column = columns + (<usize>i << 6);
      if (load<u32>(column, 28) != stamp) continue;
      const text: usize = load<u32>(column, 32);
      if (text == 0) continue;
      const length = unescape(text, load<u32>(column, 36));
      writeView(<usize>load<u32>(column, 12) + (<usize>row << 4), text, length);
    }
  }
  return p + 1;
}

/** Whether the text at p up to its quote is the column's name. Names with quotes or backslashes never are. */
// @ts-ignore: decorator
@inline
function nameIs(p: usize, column: usize): bool {
  const length = load<u32>(column, 4);
  if ((load<u64>(p) & load<u64>(column, 48)) != load<u64>(column, 40)) return false;
  if (load<u8>(p + length) != 0x22) return false;
  if (length <= 8) return true;
  const name: usize = load<u32>(column);
  for (let i: usize = 8; i < length; i++) if (load<u8>(p + i) != load<u8>(name + i)) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function setValid(row: u32, column: usize): void {
  const validity: usize = load<u32>(column, 16);
  if (validity == 0) return;
  const at = validity + (row >>> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | ((<u32>1) << (row & 7))));
}

/** False: the column takes no null. The value behind a null is 0. */
function writeNull(row: u32, column: usize): bool {
  const validity: usize = load<u32>(column, 16);
  if (validity == 0) return false;
  const at = validity + (row >>> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) & ~((<u32>1) << (row & 7))));
  store<u32>(column, 1, 24);
  store<u32>(column, 0, 32);
  const values: usize = load<u32>(column, 12);
  const kind = load<u32>(column, 8);
  if (kind == kindView) {
    store<u64>(values + (<usize>row << 4), 0);
    store<u64>(values + (<usize>row << 4), 0, 8);
  } else if (kind == kindI32 || kind == kindDate) {
    store<i32>(values + (<usize>row << 2), 0);
  } else if (kind == kindBit) {
    const bit = values + (row >>> 3);
    store<u8>(bit, <u8>(<u32>load<u8>(bit) & ~((<u32>1) << (row & 7))));
  } else if (kind != 7) {
    store<i64>(values + (<usize>row << 3), 0);
  }
  return true;
}

function readValue(p: usize, row: u32, column: usize, index: u32, context: usize): usize {
  const c = <u32>load<u8>(p);
  const kind = load<u32>(column, 8);
  if (c == 0x6e) {
    if (load<u32>(p) != 0x6c6c756e || kind == 7) return 0;
    return writeNull(row, column) ? p + 4 : 0;
  }
  const values: usize = load<u32>(column, 12);
  switch (kind) {
    case kindBit: {
      let value: u32;
      if (load<u32>(p) == 0x65757274) {
        value = 1;
        p += 4;
      } else if (c == 0x66 && load<u32>(p + 1) == 0x65736c61) {
        value = 0;
        p += 5;
      } else return 0;
      const at = values + (row >>> 3);
      store<u8>(at, <u8>((<u32>load<u8>(at) & ~((<u32>1) << (row & 7))) | (value << (row & 7))));
      break;
    }
    case kindI32:
    case kindI64: {
      const negative = c == 0x2d;
      if (negative) p++;
      const start = p;
      let value: i64 = 0;
      let d = <u32>load<u8>(p) - 0x30;
      if (d > 9) return 0;
      while (d < 10) {
        value = value * 10 + <i64>d;
        p++;
        d = <u32>load<u8>(p) - 0x30;
      }
      // More than 18 digits might overflow; a fraction or an exponent needs arithmetic; 01 is no JSON.
      if (p - start > 18 || (load<u8>(start) == 0x30 && p - start > 1)) return 0;
      const after = <u32>load<u8>(p);
      if (after == 0x2e || (after | 0x20) == 0x65) return 0;
      if (negative) value = -value;
      if (kind == kindI64) {
        store<i64>(values + (<usize>row << 3), value);
      } else {
        if (value != <i64>(<i32>value)) return 0;
        store<i32>(values + (<usize>row << 2), <i32>value);
      }
      break;
    }
    case kindF64:
      p = readDouble(p, row, values, index, context);
      if (p == 0) return 0;
      break;
    case kindView: {
      if (c != 0x22) return 0;
      const start = p + 1;
      p = scanText(start, column);
      if (p == 0) return 0;
      const length = <u32>(p - start);
      if (load<u32>(column, 32) != 0) store<u32>(column, length, 36);
      else writeView(values + (<usize>row << 4), start, length);
      p++;
      break;
    }
    case kindDate: {
      if (c != 0x22 || load<u8>(p + 11) != 0x22) return 0;
      const days = readDays(p + 1);
      if (days == i32.MIN_VALUE) return 0;
      store<i32>(values + (<usize>row << 2), days);
      p += 12;
      break;
    }
    case kindTime:
      p = readTime(p, row, values, load<u32>(column, 20));
      if (p == 0) return 0;
      break;
    case kindDecimal:
      p = readDecimal(p, values + (<usize>row << 3), load<u32>(column, 20));
      if (p == 0) return 0;
      break;
    default:
      return 0;
  }
  setValid(row, column);
  return p;
}

/** Digits with a point, no more of them than the type has; exponents and texts are the caller's. */
function readDecimal(p: usize, out: usize, digits: u32): usize {
  const scale = <i32>(digits & 0xff);
  const whole = <i32>(digits >> 8) - scale;
  const negative = load<u8>(p) == 0x2d;
  if (negative) p++;
  const start = p;
  let value: i64 = 0;
  let d = <u32>load<u8>(p) - 0x30;
  if (d > 9) return 0;
  while (d < 10 && p - start < 19) {
    value = value * 10 + <i64>d;
    p++;
    d = <u32>load<u8>(p) - 0x30;
  }
  const ahead = <i32>(p - start);
  // 01 is no JSON; a zero ahead of the point is no digit of the value.
  if (load<u8>(start) == 0x30 && ahead > 1) return 0;
  if (ahead > whole && !(ahead == 1 && value == 0)) return 0;
  let behind = 0;
  if (load<u8>(p) == 0x2e) {
    p++;
    d = <u32>load<u8>(p) - 0x30;
    if (d > 9) return 0;
    while (d < 10) {
      if (behind == scale) return 0;
      value = value * 10 + <i64>d;
      behind++;
      p++;
      d = <u32>load<u8>(p) - 0x30;
    }
  }
  if (d < 10 || ((<u32>load<u8>(p)) | 0x20) == 0x65) return 0;
  for (; behind < scale; behind++) value *= 10;
  store<i64>(out, negative ? -value : value);
  return p;
}

/** An exact product of two exact doubles where that is the value (Clinger 1990); other numbers go on the deferred list. */
function readDouble(p: usize, row: u32, values: usize, index: u32, context: usize): usize {
  const from = p;
  const negative = load<u8>(p) == 0x2d;
  if (negative) p++;
  let mantissa: u64 = 0;
  let digits: i32 = 0;
  let exponent: i32 = 0;
  let d = <u32>load<u8>(p) - 0x30;
  if (d > 9) return 0;
  if (d == 0) {
    p++;
    d = <u32>load<u8>(p) - 0x30;
    if (d < 10) return 0;
  }
  while (d < 10) {
    mantissa = mantissa * 10 + <u64>d;
    digits++;
    p++;
    d = <u32>load<u8>(p) - 0x30;
  }
  if (load<u8>(p) == 0x2e) {
    p++;
    d = <u32>load<u8>(p) - 0x30;
    if (d > 9) return 0;
    while (d < 10) {
      mantissa = mantissa * 10 + <u64>d;
      if (mantissa != 0) digits++;
      exponent--;
      p++;
      d = <u32>load<u8>(p) - 0x30;
    }
  }
  if ((<u32>load<u8>(p) | 0x20) == 0x65) {
    p++;
    const sign = load<u8>(p);
    if (sign == 0x2d || sign == 0x2b) p++;
    d = <u32>load<u8>(p) - 0x30;
    if (d > 9) return 0;
    let e: i32 = 0;
    while (d < 10) {
      if (e < 100000) e = e * 10 + <i32>d;
      p++;
      d = <u32>load<u8>(p) - 0x30;
    }
    exponent += sign == 0x2d ? -e : e;
  }
  if (digits <= 19 && mantissa <= 9007199254740992 && exponent >= -22 && exponent <= 22) {
    let value = <f64>mantissa;
    const power = powerOfTen(exponent < 0 ? -exponent : exponent);
    value = exponent < 0 ? value / power : value * power;
    store<f64>(values + (<usize>row << 3), negative ? -value : value);
    return p;
  }
  const count = load<u32>(context, 32);
  const entry = <usize>load<u32>(context, 28) + (<usize>count << 4);
  store<u32>(entry, row);
  store<u32>(entry, index, 4);
  store<u32>(entry, <u32>from, 8);
  store<u32>(entry, <u32>(p - from), 12);
  store<u32>(context, count + 1, 32);
  return p;
}

/** 10^n, exact for n ≤ 22. */
function powerOfTen(n: i32): f64 {
  switch (n) {
    case 0: return 1;
    case 1: return 1e1;
    case 2: return 1e2;
    case 3: return 1e3;
    case 4: return 1e4;
    case 5: return 1e5;
    case 6: return 1e6;
    case 7: return 1e7;
    case 8: return 1e8;
    case 9: return 1e9;
    case 10: return 1e10;
    case 11: return 1e11;
    case 12: return 1e12;
    case 13: return 1e13;
    case 14: return 1e14;
    case 15: return 1e15;
    case 16: return 1e16;
    case 17: return 1e17;
    case 18: return 1e18;
    case 19: return 1e19;
    case 20: return 1e20;
    case 21: return 1e21;
    default: return 1e22;
  }
}

/** From behind the opening quote to the closing one, or 0. A text with escapes is noted in the column. */
function scanText(from: usize, column: usize): usize {
  let p = from;
  while (true) {
    const bytes = v128.load(p);
    const special = v128.or(
      v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))),
      // Signed: below 0x20 are controls and everything that is not ASCII.
      i8x16.lt_s(bytes, i8x16.splat(0x20)),
    );
    const mask = i8x16.bitmask(special);
    if (mask == 0) {
      p += 16;
      continue;
    }
    p += <usize>ctz(mask);
    const c = <u32>load<u8>(p);
    if (c == 0x22) return p;
    if (c < 0x20) return 0;
    if (c == 0x5c) {
      const length = escapeLength(p);
      if (length == 0) return 0;
      if (column != 0) store<u32>(column, <u32>from, 32);
      p += length;
    } else {
      const length = utf8Length(p);
      if (length == 0) return 0;
      p += length;
    }
  }
}

/** From behind the opening quote to behind the closing one, or 0. */
// @ts-ignore: decorator
@inline
function skipText(from: usize): usize {
  const p = scanText(from, 0);
  return p == 0 ? 0 : p + 1;
}

function hasBackslash(from: usize, to: usize): bool {
  for (let p = from; p < to; p++) if (load<u8>(p) == 0x5c) return true;
  return false;
}

/** Bytes of the escape at p: 2 or 6; 0 for what is none, and for surrogates, which the caller puts together. */
function escapeLength(p: usize): usize {
  const c = <u32>load<u8>(p + 1);
  if (c == 0x75) {
    const unit = hex4(p + 2);
    return unit < 0 || (unit >= 0xd800 && unit < 0xe000) ? 0 : 6;
  }
  return c == 0x22 || c == 0x5c || c == 0x2f || c == 0x62 || c == 0x66 || c == 0x6e || c == 0x72 || c == 0x74 ? 2 : 0;
}

/** Four hexadecimal digits, or −1. */
function hex4(p: usize): i32 {
  let value: i32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = <u32>load<u8>(p + i);
    const d = c - 0x30 < 10 ? c - 0x30 : (c | 0x20) - 0x61 < 6 ? (c | 0x20) - 0x57 : 99;
    if (d > 15) return -1;
    value = (value << 4) | <i32>d;
  }
  return value;
}

// @ts-ignore: decorator
@inline
function isTail(c: u32): bool {
  return (c & 0xc0) == 0x80;
}

/** Bytes of the well-formed UTF-8 sequence at p (Unicode, table 3-7), which is not ASCII; 0 for an ill-formed one. */
function utf8Length(p: usize): usize {
  const a = <u32>load<u8>(p);
  const b = <u32>load<u8>(p + 1);
  if (a < 0xc2) return 0;
  if (a < 0xe0) return isTail(b) ? 2 : 0;
  const c = <u32>load<u8>(p + 2);
  if (a < 0xf0) {
    if (!isTail(b) || !isTail(c)) return 0;
    if (a == 0xe0 && b < 0xa0) return 0;
    return a == 0xed && b >= 0xa0 ? 0 : 3;
  }
  if (a > 0xf4 || !isTail(b) || !isTail(c) || !isTail(<u32>load<u8>(p + 3))) return 0;
  if (a == 0xf0 && b < 0x90) return 0;
  return a == 0xf4 && b >= 0x90 ? 0 : 4;
}

/** Resolves the escapes of a text in place; answers its bytes then. All of them were checked. */
function unescape(from: usize, length: u32): u32 {
  const end = from + length;
  let to = from;
  for (let p = from; p < end; ) {
    const c = load<u8>(p);
    if (c != 0x5c) {
      store<u8>(to++, c);
      p++;
      continue;
    }
    const e = <u32>load<u8>(p + 1);
    if (e != 0x75) {
      const byte: u32 = e == 0x62 ? 8 : e == 0x66 ? 12 : e == 0x6e ? 10 : e == 0x72 ? 13 : e == 0x74 ? 9 : e;
      store<u8>(to++, <u8>byte);
      p += 2;
      continue;
    }
    const unit = <u32>hex4(p + 2);
    if (unit < 0x80) {
      store<u8>(to++, <u8>unit);
    } else if (unit < 0x800) {
      store<u8>(to++, <u8>(0xc0 | (unit >>> 6)));
      store<u8>(to++, <u8>(0x80 | (unit & 63)));
    } else {
      store<u8>(to++, <u8>(0xe0 | (unit >>> 12)));
      store<u8>(to++, <u8>(0x80 | ((unit >>> 6) & 63)));
      store<u8>(to++, <u8>(0x80 | (unit & 63)));
    }
    p += 6;
  }
  return <u32>(to - from);
}

function writeView(view: usize, text: usize, length: u32): void {
  store<u32>(view, length);
  if (length > 12) {
    store<u32>(view, load<u32>(text), 4);
    store<u32>(view, 0, 8);
    store<u32>(view, <u32>text, 12);
    return;
  }
  // The bytes behind a short text are cut off: equal texts are equal views.
  const low = load<u64>(text);
  const high = load<u32>(text + 8);
  if (length > 8) {
    store<u64>(view + 4, low);
    store<u32>(view, length == 12 ? high : high & ((<u32>1 << ((length - 8) << 3)) - 1), 12);
  } else {
    store<u64>(view + 4, length == 8 ? low : low & ((<u64>1 << (<u64>length << 3)) - 1));
    store<u32>(view, 0, 12);
  }
}

/** Two digits, or a number above 99. */
// @ts-ignore: decorator
@inline
function digits2(p: usize): u32 {
  const a = <u32>load<u8>(p) - 0x30;
  const b = <u32>load<u8>(p + 1) - 0x30;
  return a > 9 || b > 9 ? 1000 : a * 10 + b;
}

/** Days since 1970-01-01 of `YYYY-MM-DD` at p (Hinnant's algorithm); i32.MIN_VALUE for anything else. */
function readDays(p: usize): i32 {
  const century = digits2(p);
  const years = digits2(p + 2);
  const month = digits2(p + 5);
  const day = digits2(p + 8);
  if (century > 99 || years > 99 || load<u8>(p + 4) != 0x2d || load<u8>(p + 7) != 0x2d) return i32.MIN_VALUE;
  if (month < 1 || month > 12 || day < 1 || day > 31) return i32.MIN_VALUE;
  const year = <i32>(century * 100 + years);
  if (day > 28) {
    const leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month == 2) {
      if (!leap || day > 29) return i32.MIN_VALUE;
    } else if (day == 31 && (month == 4 || month == 6 || month == 9 || month == 11)) {
      return i32.MIN_VALUE;
    }
  }
  const y = month <= 2 ? year - 1 : year;
  const era = y >= 0 ? y / 400 : -1;
  const yoe = y - era * 400;
  const m = <i32>month;
  const doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + <i32>day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/** `"YYYY-MM-DD[T ]HH:MM:SS[.fraction][Z]"`, or whole milliseconds since the epoch. 0 for other forms. */
function readTime(p: usize, row: u32, values: usize, ticksPerMs: u32): usize {
  const c = <u32>load<u8>(p);
  if (c != 0x22) {
    const negative = c == 0x2d;
    if (negative) p++;
    const start = p;
    let value: i64 = 0;
    let d = <u32>load<u8>(p) - 0x30;
    while (d < 10) {
      value = value * 10 + <i64>d;
      p++;
      d = <u32>load<u8>(p) - 0x30;
    }
    const length = p - start;
    if (length == 0 || length > 15 || (load<u8>(start) == 0x30 && length > 1)) return 0;
    const after = <u32>load<u8>(p);
    if (after == 0x2e || (after | 0x20) == 0x65) return 0;
    store<i64>(values + (<usize>row << 3), (negative ? -value : value) * <i64>ticksPerMs);
    return p;
  }
  const days = readDays(p + 1);
  if (days == i32.MIN_VALUE) return 0;
  const between = load<u8>(p + 11);
  if (between != 0x54 && between != 0x20) return 0;
  const hour = digits2(p + 12);
  const minute = digits2(p + 15);
  const second = digits2(p + 18);
  if (hour > 23 || minute > 59 || second > 59 || load<u8>(p + 14) != 0x3a || load<u8>(p + 17) != 0x3a) return 0;
  p += 20;
  let nanos: i64 = 0;
  if (load<u8>(p) == 0x2e) {
    p++;
    let scale: i64 = 100000000;
    let d = <u32>load<u8>(p) - 0x30;
    if (d > 9) return 0;
    while (d < 10) {
      if (scale == 0) return 0;
      nanos += <i64>d * scale;
      scale /= 10;
      p++;
      d = <u32>load<u8>(p) - 0x30;
    }
  }
  if (load<u8>(p) == 0x5a) p++;
  if (load<u8>(p) != 0x22) return 0;
  const seconds = <i64>days * 86400 + <i64>(hour * 3600 + minute * 60 + second);
  const ticks = <i64>ticksPerMs * 1000;
  store<i64>(values + (<usize>row << 3), seconds * ticks + nanos / (1000000000 / ticks));
  return p + 1;
}

/** Over a value that nobody wants, as strictly as if it were wanted: what a line is must not depend on its columns. 0 to refuse. */
function skipValue(p: usize): usize {
  let depth: u32 = 0;
  let objects: u64 = 0; // bit d: the bracket at depth d is an object's
  while (true) {
    const c = <u32>load<u8>(p);
    if (c == 0x7b || c == 0x5b) {
      // Deeper ones are the caller's.
      if (depth == 63) return 0;
      depth++;
      const bit = <u64>1 << <u64>depth;
      objects = c == 0x7b ? objects | bit : objects & ~bit;
      p = skipSpace(p + 1);
      if (<u32>load<u8>(p) != c + 2) {
        if (c == 0x7b) {
          p = skipName(p);
          if (p == 0) return 0;
        }
        continue;
      }
      p++;
      depth--;
    } else {
      p = skipScalar(p, c);
      if (p == 0) return 0;
    }
    // A value has ended: so may the brackets around it.
    while (true) {
      if (depth == 0) return p;
      p = skipSpace(p);
      const inObject = ((objects >> <u64>depth) & 1) != 0;
      const e = <u32>load<u8>(p);
      p++;
      if (e == 0x2c) {
        p = skipSpace(p);
        if (inObject) {
          p = skipName(p);
          if (p == 0) return 0;
        }
        break;
      }
      if (e != (inObject ? <u32>0x7d : <u32>0x5d)) return 0;
      depth--;
    }
  }
}

/** From a member's name to its value. */
function skipName(p: usize): usize {
  if (load<u8>(p) != 0x22) return 0;
  p = skipText(p + 1);
  if (p == 0) return 0;
  p = skipSpace(p);
  return load<u8>(p) == 0x3a ? skipSpace(p + 1) : 0;
}

function skipScalar(p: usize, c: u32): usize {
  if (c == 0x22) return skipText(p + 1);
  if (c == 0x74) return load<u32>(p) == 0x65757274 ? p + 4 : 0;
  if (c == 0x6e) return load<u32>(p) == 0x6c6c756e ? p + 4 : 0;
  if (c == 0x66) return load<u32>(p + 1) == 0x65736c61 ? p + 5 : 0;
  if (c == 0x2d) p++;
  if (!isDigit(<u32>load<u8>(p))) return 0;
  if (load<u8>(p) == 0x30) p++;
  else while (isDigit(<u32>load<u8>(p))) p++;
  if (load<u8>(p) == 0x2e) {
    p++;
    if (!isDigit(<u32>load<u8>(p))) return 0;
    while (isDigit(<u32>load<u8>(p))) p++;
  }
  if ((<u32>load<u8>(p) | 0x20) == 0x65) {
    p++;
    const sign = load<u8>(p);
    if (sign == 0x2d || sign == 0x2b) p++;
    if (!isDigit(<u32>load<u8>(p))) return 0;
    while (isDigit(<u32>load<u8>(p))) p++;
  }
  return p;
}
