/**
 * The proleptic Gregorian calendar in plain numbers, for literals and the interpreter. Days and ticks count from
 * 1970-01-01T00:00:00 and may be negative; everything floors, so the day before the epoch is 1969-12-31.
 * Civil dates after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */

export interface CivilDate {
  readonly year: number;
  /** 1–12. */
  readonly month: number;
  /** 1–31. */
  readonly day: number;
}

export const dayMs = 86_400_000;

/** Days since the epoch of a civil date; the month may lie outside 1–12. */
export function daysOfCivil(year: number, month: number, day: number): number {
  const carried = year + Math.floor((month - 1) / 12);
  const monthOfYear = ((((month - 1) % 12) + 12) % 12) + 1;
  const y = monthOfYear <= 2 ? carried - 1 : carried;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (monthOfYear + (monthOfYear > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

export function civilOfDays(days: number): CivilDate {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9);
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

/** Floored quotient of bigints; the divisor is positive. */
export function floorDivide(a: bigint, by: bigint): bigint {
  const quotient = a / by;
  return a % by < 0n ? quotient - 1n : quotient;
}

const timestampPattern =
  /^([+-]?\d{4,6})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * Ticks (`ticksPerMs` a millisecond) of an ISO 8601 date or date-time, `T` or a blank between them, fractions cut off
 * where the precision ends; with an offset it is moved to UTC. Null if it is none.
 */
export function parseTimestamp(text: string, ticksPerMs: number): bigint | null {
  const match = timestampPattern.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone] = match;
  const days = checkedDays(Number(year), Number(month), Number(day));
  if (days === null || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  let ms = BigInt(days) * BigInt(dayMs) + BigInt((Number(hour) * 60 + Number(minute)) * 60_000 + Number(second) * 1000);
  if (zone !== undefined && zone !== 'Z') {
    const offset = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
    ms -= BigInt((zone[0] === '-' ? -offset : offset) * 60_000);
  }
  const nanos = BigInt(fraction.padEnd(9, '0'));
  return ms * BigInt(ticksPerMs) + (nanos * BigInt(ticksPerMs)) / 1_000_000n;
}

/** Days of an ISO date; a date-time gives its day. Null if it is none. */
export function parseDate(text: string): number | null {
  const ms = parseTimestamp(text, 1);
  return ms === null ? null : Number(floorDivide(ms, BigInt(dayMs)));
}

function checkedDays(year: number, month: number, day: number): number | null {
  if (month < 1 || month > 12 || day < 1) return null;
  const days = daysOfCivil(year, month, day);
  return civilOfDays(days).month === month && day <= 31 ? days : null;
}

const digits = (value: number, width: number): string => String(value).padStart(width, '0');

export function formatDate(days: number): string {
  const { year, month, day } = civilOfDays(days);
  return `${year < 0 ? '-' : ''}${digits(Math.abs(year), 4)}-${digits(month, 2)}-${digits(day, 2)}`;
}

/** `yyyy-MM-dd HH:mm:ss` and as many digits of a second as the precision says. */
export function formatTimestamp(ticks: bigint, ticksPerMs: number, precision: number): string {
  const perDay = BigInt(dayMs) * BigInt(ticksPerMs);
  const days = floorDivide(ticks, perDay);
  const inDay = ticks - days * perDay;
  const seconds = Number(inDay / BigInt(ticksPerMs * 1000));
  const time = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((n) => digits(n, 2));
  const nanos = (inDay % BigInt(ticksPerMs * 1000)) * (1_000_000n / BigInt(ticksPerMs));
  const fraction = precision === 0 ? '' : `.${nanos.toString().padStart(9, '0').slice(0, precision)}`;
  return `${formatDate(Number(days))} ${time.join(':')}${fraction}`;
}
