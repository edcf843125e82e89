// The proleptic Gregorian calendar in whole days since 1970-01-01, all integers, floored below the epoch.
// Eras of 400 years beginning on March 1st: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

import { writeView } from './string';

const YEAR: i32 = 0;
const QUARTER: i32 = 1;
const MONTH: i32 = 2;
const WEEK: i32 = 3;
const DAY: i32 = 4;
const DAY_OF_WEEK: i32 = 5;
const DAY_OF_YEAR: i32 = 6;

// @ts-ignore: decorator
@inline function floorDiv(a: i64, b: i64): i64 {
  const q = a / b;
  return a % b < 0 ? q - 1 : q;
}

/** year << 9 | month << 5 | day. */
function civil(days: i64): i64 {
  const z = days + 719468;
  const era = floorDiv(z, 146097);
  const doe = z - era * 146097;
  const yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const mp = (5 * doy + 2) / 153;
  const day = doy - (153 * mp + 2) / 5 + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + i64(month <= 2);
  return (year << 9) | (month << 5) | day;
}

/** Days of the first of a month; `month` may lie outside 1–12. */
function monthStart(year: i64, month: i64): i64 {
  const carry = floorDiv(month - 1, 12);
  const m = month - carry * 12;
  const y = year + carry - i64(m <= 2);
  const era = floorDiv(y, 400);
  const yoe = y - era * 400;
  const doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

// @ts-ignore: decorator
@inline function floorMod7(a: i64): i64 {
  const r = a % 7;
  return r < 0 ? r + 7 : r;
}

export function datePart(days: i64, part: i32): i64 {
  if (part == DAY_OF_WEEK) return floorMod7(days + 4) + 1;
  if (part == WEEK) {
    const thursday = days - floorMod7(days + 3) + 3;
    return (thursday - monthStart(civil(thursday) >> 9, 1)) / 7 + 1;
  }
  const date = civil(days);
  const year = date >> 9;
  if (part == YEAR) return year;
  const month = (date >> 5) & 15;
  if (part == MONTH) return month;
  if (part == QUARTER) return (month + 2) / 3;
  if (part == DAY) return date & 31;
  return days - monthStart(year, 1) + 1;
}

/** First day of the year, quarter, month or week (from Sunday) that holds the day; with `up` 1, of the one after it. */
export function floorDate(days: i64, part: i32, up: i64): i64 {
  if (part == DAY) return days + up;
  if (part == WEEK) return days - floorMod7(days + 4) + 7 * up;
  const date = civil(days);
  const year = date >> 9;
  if (part == YEAR) return monthStart(year + up, 1);
  const month = (date >> 5) & 15;
  if (part == MONTH) return monthStart(year, month + up);
  return monthStart(year, month - (month - 1) % 3 + 3 * up);
}

/** `value` with at least `count` digits and its sign. Answers the end. */
function padded(at: u32, value: i64, count: u32): u32 {
  let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  if (value < 0) store<u8>(at++, 0x2d);
  let digits: u32 = 1;
  for (let r = rest; r >= 10; r /= 10) digits++;
  if (digits < count) digits = count;
  for (let i = digits; i > 0; i--) {
    store<u8>(at + i - 1, 0x30 + <u32>(rest % 10));
    rest /= 10;
  }
  return at + digits;
}

/**
 * DATE_FORMAT. A program: u32 parts, then for each u32 what, u32 count: 0 year, 1 its last two digits, 2 month, 3 day, 4 day of
 * the year, 5 hour, 6 hour of the half day, 7 minute, 8 second, 9 digits of a second's fraction, all with at least `count`
 * digits, or 15 and `count` bytes, padded to 4.
 */
export function formatTime(
  ticks: i64, perDay: i64, perSecond: i64, program: u32, out: u32, room: u32, roomEnd: u32,
): u32 {
  const parts = load<u32>(program);
  let bound: u32 = 0;
  let part = program + 4;
  for (let i: u32 = 0; i < parts; i++) {
    const count = load<u32>(part, 4);
    // A year of 64 bits in seconds has twelve digits; a sign.
    bound += count + 16;
    part += 8 + (load<u32>(part) == 15 ? (count + 3) & ~3 : 0);
  }
  if (roomEnd - room < bound) return 0;
  const days = floorDiv(ticks, perDay);
  const inDay = ticks - days * perDay;
  const seconds = <u32>(inDay / perSecond);
  const date = civil(days);
  const year = date >> 9;
  const hour = seconds / 3600;
  let at = room;
  part = program + 4;
  for (let i: u32 = 0; i < parts; i++) {
    const what = load<u32>(part);
    const count = load<u32>(part, 4);
    part += 8;
    switch (what) {
      case 0: at = padded(at, year, count); break;
      case 1: at = padded(at, ((year % 100) + 100) % 100, 2); break;
      case 2: at = padded(at, (date >> 5) & 15, count); break;
      case 3: at = padded(at, date & 31, count); break;
      case 4: at = padded(at, days - monthStart(year, 1) + 1, count); break;
      case 5: at = padded(at, hour, count); break;
      case 6: at = padded(at, hour % 12 == 0 ? 12 : hour % 12, count); break;
      case 7: at = padded(at, seconds / 60 % 60, count); break;
      case 8: at = padded(at, seconds % 60, count); break;
      case 9: {
        let nanos = inDay % perSecond * (1000000000 / perSecond);
        for (let digit: u32 = 0; digit < count; digit++) {
          store<u8>(at++, 0x30 + <u32>(nanos / 100000000));
          nanos = nanos % 100000000 * 10;
        }
        break;
      }
      default: {
        for (let byte: u32 = 0; byte < count; byte++) store<u8>(at++, load<u8>(part + byte));
        part += (count + 3) & ~3;
      }
    }
  }
  writeView(room, at - room, out);
  return at - room > 12 ? at : room;
}

/** Whether a × b leaves the i64. */
export function timesOverflows(a: i64, b: i64): i32 {
  if (a == 0 || b == 0) return 0;
  if ((a == -1 && b == i64.MIN_VALUE) || (b == -1 && a == i64.MIN_VALUE)) return 1;
  return i32((a * b) / b != a);
}

/** The remainder with the dividend's sign, exact, as C's fmod. */
export function fmod(a: f64, b: f64): f64 {
  return a % b;
}
