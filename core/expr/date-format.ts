/** DATE_FORMAT: the letters of Java's DateTimeFormatter that Flink's users write, in English. */
import { MillraceError } from '../base/errors.ts';
import { civilOfDays, daysOfCivil } from './calendar.ts';

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

type Token = { readonly text: string } | { readonly letter: string; readonly count: number };

/** Errors: `plan/type` for a letter that is not known or a quote that stays open. */
export function dateFormatTokens(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let i = 0; i < pattern.length; ) {
    const char = pattern[i] as string;
    let end = i + 1;
    if (char === "'") {
      end = pattern.indexOf("'", i + 1);
      if (end < 0)
        throw new MillraceError('plan/type', `the pattern "${pattern}" of DATE_FORMAT has a quote that stays open`);
      tokens.push({ text: end === i + 1 ? "'" : pattern.slice(i + 1, end) });
      end++;
    } else if (/[A-Za-z]/.test(char)) {
      while (pattern[end] === char) end++;
      if (!'yuMdDHhmsSaE'.includes(char)) {
        throw new MillraceError(
          'plan/type',
          `the pattern "${pattern}" of DATE_FORMAT has the letter ${char}; known are y M d D H h m s S a E; put text in '…'`,
        );
      }
      tokens.push({ letter: char, count: end - i });
    } else tokens.push({ text: char });
    i = end;
  }
  return tokens;
}

/** `nanos`: nanoseconds of the day. */
export function dateFormat(days: number, nanos: bigint, pattern: string): string {
  const { year, month, day } = civilOfDays(days);
  const seconds = Number(nanos / 1_000_000_000n);
  const hour = Math.floor(seconds / 3600);
  const fraction = (nanos % 1_000_000_000n).toString().padStart(9, '0');
  const weekday = weekdays[(((days + 4) % 7) + 7) % 7] as string;
  const part = (letter: string, count: number): string => {
    const pad = (value: number): string => `${value < 0 ? '-' : ''}${String(Math.abs(value)).padStart(count, '0')}`;
    switch (letter) {
      case 'y':
      case 'u':
        return count === 2 ? String(((year % 100) + 100) % 100).padStart(2, '0') : pad(year);
      case 'M':
        return count < 3 ? pad(month) : (months[month - 1] as string).slice(0, count === 3 ? 3 : undefined);
      case 'd':
        return pad(day);
      case 'D':
        return pad(days - daysOfCivil(year, 1, 1) + 1);
      case 'H':
        return pad(hour);
      case 'h':
        return pad(hour % 12 === 0 ? 12 : hour % 12);
      case 'm':
        return pad(Math.floor(seconds / 60) % 60);
      case 's':
        return pad(seconds % 60);
      case 'S':
        return fraction.slice(0, count).padEnd(count, '0');
      case 'a':
        return hour < 12 ? 'AM' : 'PM';
      default:
        return count < 4 ? weekday.slice(0, 3) : weekday;
    }
  };
  return dateFormatTokens(pattern)
    .map((token) => ('text' in token ? token.text : part(token.letter, token.count)))
    .join('');
}
