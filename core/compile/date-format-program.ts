/** Patterns of DATE_FORMAT as the bytes that the `formatTime` kernel reads; the layout stands above it (kernels/assembly/calendar.ts). */
import { dateFormatTokens } from '../expr/date-format.ts';

const numbers: Readonly<Record<string, number>> = { y: 0, u: 0, M: 2, d: 3, D: 4, H: 5, h: 6, m: 7, s: 8, S: 9 };
const yearOfCentury = 1;
const text = 15;
/** Digits of a number at most; longer ones run in JavaScript. */
const digitsMax = 18;

/** Null: it has names of months, of days or of half days, which are not compiled. */
export function dateFormatProgram(pattern: string): Uint8Array | null {
  const words: number[] = [];
  const tokens = dateFormatTokens(pattern);
  for (const token of tokens) {
    if ('text' in token) {
      const bytes = new TextEncoder().encode(token.text);
      words.push(text, bytes.length);
      for (let i = 0; i < bytes.length; i += 4) {
        words.push(
          (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24),
        );
      }
      continue;
    }
    const { letter, count } = token;
    const number = numbers[letter];
    if (number === undefined || (letter === 'M' && count > 2) || count > digitsMax) return null;
    words.push(number === 0 && count === 2 ? yearOfCentury : number, count);
  }
  return new Uint8Array(Uint32Array.from([tokens.length, ...words]).buffer);
}
