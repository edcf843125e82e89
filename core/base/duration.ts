/** Lengths of time and amounts of memory, as a person says them. */
import { MillraceError } from './errors.ts';

type Unit = 'ms' | 'second' | 'seconds' | 'minute' | 'minutes' | 'hour' | 'hours' | 'day' | 'days';
/** A length of time: `'10 seconds'`, `'1 day'`. */
export type Duration = `${number} ${Unit}`;
/** An amount of memory: `'512mb'`. */
export type Size = `${number}${'kb' | 'mb' | 'gb'}`;

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  second: 1000,
  seconds: 1000,
  minute: 60_000,
  minutes: 60_000,
  hour: 3_600_000,
  hours: 3_600_000,
  day: 86_400_000,
  days: 86_400_000,
};

/** Whole milliseconds of a duration. Errors: `option/invalid`. */
export function durationMs(text: string): number {
  const match = /^(-?\d+(?:\.\d+)?) (\w+)$/.exec(text);
  const unit = match ? unitMs[match[2] as string] : undefined;
  const ms = match && unit !== undefined ? Number(match[1]) * unit : Number.NaN;
  if (!Number.isSafeInteger(ms)) {
    throw new MillraceError(
      'option/invalid',
      `'${text}' is not a duration in whole milliseconds; write a number, a space and one of ${Object.keys(unitMs).join(', ')}, as in '10 seconds'`,
    );
  }
  return ms;
}

const sizeBytes: Readonly<Record<string, number>> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** Bytes of a size. Errors: `option/invalid`. */
export function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(kb|mb|gb)$/i.exec(text);
  const bytes = match ? Math.floor(Number(match[1]) * (sizeBytes[(match[2] as string).toLowerCase()] as number)) : 0;
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new MillraceError('option/invalid', `'${text}' is not an amount of memory; write it as in '512mb' or '2gb'`);
  }
  return bytes;
}
