/**
 * Dates and timestamps to ISO 8601 text and back, exactly, on the proleptic Gregorian calendar, in UTC. Arithmetic on days
 * is Howard Hinnant's (chrono-compatible low-level date algorithms).
 */
import { ticksPerMs } from '../../core/record/types.ts';

/** `2001-01-31`; years beyond 9999 or before 0 as ECMAScript writes them (`+012001-…`). */
export function dateText(days: number): string {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const day = doy - Math.floor((153 * mp + 2) / 5) + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return `${yearText(year)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** Ticks of a TIMESTAMP(precision): `2001-01-31T10:00:00.123Z` with `between` 'T' and `zone` 'Z'; 3 or 6 digits of fraction, none when they are 0. */
export function timestampText(ticks: bigint, precision: number, between: string, zone: string): string {
  const perSecond = BigInt(ticksPerMs(precision)) * 1000n;
  let second = ticks / perSecond;
  let fraction = ticks - second * perSecond;
  if (fraction < 0n) {
    second--;
    fraction += perSecond;
  }
  const at = Number(second);
  const days = Math.floor(at / 86_400);
  const rest = at - days * 86_400;
  const digits = perSecond === 1000n ? 3 : perSecond === 1_000_000n ? 6 : 9;
  const time = `${pad(Math.floor(rest / 3600), 2)}:${pad(Math.floor(rest / 60) % 60, 2)}:${pad(rest % 60, 2)}`;
  const small = fraction === 0n ? '' : `.${pad(Number(fraction), digits)}`;
  return `${dateText(days)}${between}${time}${small}${zone}`;
}

/** Days of `YYYY-MM-DD` (years as `dateText` writes them), or null. */
export function parseDate(text: string): number | null {
  const match = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)$/.exec(text);
  return match ? daysOf(Number(match[1]), Number(match[2]), Number(match[3])) : null;
}

/**
 * Ticks of an ISO timestamp: a date, optionally `T` or a space and a time of day with up to nine digits of fraction
 * (digits beyond the precision are cut off, which floors), optionally `Z` or an offset; without one it is UTC. Null for
 * anything else.
 */
export function parseTimestamp(text: string, precision: number): bigint | null {
  const match = timestampPattern.exec(text);
  if (!match) return null;
  const [, year, month, day, hours = '0', minutes = '0', whole = '0', fraction = '', sign, zoneHours, zoneMinutes] =
    match;
  const days = daysOf(Number(year), Number(month), Number(day));
  if (days === null || Number(hours) > 23 || Number(minutes) > 59 || Number(whole) > 59) return null;
  if (Number(zoneHours ?? 0) > 23 || Number(zoneMinutes ?? 0) > 59) return null;
  const offset = sign === undefined ? 0 : (sign === '-' ? -60 : 60) * (Number(zoneHours) * 60 + Number(zoneMinutes));
  const time = Number(hours) * 3600 + Number(minutes) * 60 + Number(whole) - offset;
  const seconds = BigInt(days) * 86_400n + BigInt(time);
  const perSecond = BigInt(ticksPerMs(precision)) * 1000n;
  const nanos = BigInt(fraction.padEnd(9, '0'));
  return seconds * perSecond + nanos / (1_000_000_000n / perSecond);
}

const timestampPattern =
  /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?)?$/;

/** Days since 1970-01-01, or null for a day that is not in the calendar. */
export function daysOf(year: number, month: number, day: number): number | null {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (month < 1 || month > 12 || day < 1 || day > (month === 2 && leap ? 29 : (monthDays[month - 1] as number)))
    return null;
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468;
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const pad = (value: number, width: number): string => String(value).padStart(width, '0');

function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return pad(year, 4);
  return `${year < 0 ? '-' : '+'}${pad(Math.abs(year), 6)}`;
}
