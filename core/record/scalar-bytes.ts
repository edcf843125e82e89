/**
 * What the two byte formats share: scalars of declared type, checked, as numbers to be laid down in either byte order.
 * Knows nothing of where they go.
 */
import { describeKind, describeValue } from '../base/describe.ts';
import { MillraceError } from '../base/errors.ts';
import type { ByteSink, ByteSource } from './bytes.ts';
import { decimalDigitsMax, decimalExpected, decimalOf, isDecimal, unscaledOf } from './decimal.ts';
import { utf8Bytes } from './text.ts';
import { type DataType, ticksPerMs, typeName } from './types.ts';

/** A value that is not what was declared. */
export function badValue(name: string, type: DataType, value: unknown, expected: string): MillraceError {
  return new MillraceError(
    'function/bad-result',
    value === undefined
      ? `'${name}' (${typeName(type)}) is missing; NULL is written null`
      : `'${name}' (${typeName(type)}) expects ${expected}, got ${describeValue(value)}, ${describeKind(value)}`,
  );
}

/** An integer of 64 bits on its way: `high` and `low` words of it. One object, used again. */
export interface Words {
  high: number;
  low: number;
}

/** How a type that lies in 64 bits goes to words and comes back; null: it does not. */
export interface WordCodec {
  /** Errors: `function/bad-result`. */
  split(value: unknown, to: Words): void;
  /** Errors: `value/unsafe-integer`. */
  join(high: number, low: number): unknown;
}

export function wordCodec(type: DataType, name: string): WordCodec | null {
  switch (type.kind) {
    case 'BIGINT':
      return {
        split(value, to) {
          if (typeof value === 'number' && Number.isSafeInteger(value)) splitNumber(value, to);
          else if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) splitBigint(value, to);
          else throw badValue(name, type, value, 'a whole number below 2^53, or a bigint of 64 bits');
        },
        join: type.asBigInt
          ? joinBigint
          : (high, low) => {
              const value = high * 4294967296 + low;
              if (Number.isSafeInteger(value)) return value;
              throw new MillraceError(
                'value/unsafe-integer',
                `'${name}' holds ${joinBigint(high, low)}, which a JavaScript number cannot hold exactly; declare it t.bigint().asBigInt() to get a bigint`,
              );
            },
      };
    case 'DECIMAL': {
      const { precision, scale } = type;
      if (precision > decimalDigitsMax) return null;
      return {
        split(value, to) {
          const unscaled = isDecimal(value) ? unscaledOf(value, precision, scale) : null;
          if (unscaled === null) throw badValue(name, type, value, decimalExpected(precision, scale));
          splitBigint(unscaled, to);
        },
        join: (high, low) => decimalOf(joinBigint(high, low), scale),
      };
    }
    case 'TIMESTAMP': {
      const ticks = ticksPerMs(type.precision);
      return {
        split(value, to) {
          const ms = value instanceof Date ? value.getTime() : Number.NaN;
          if (Number.isNaN(ms)) throw badValue(name, type, value, 'a valid Date');
          if (Number.isSafeInteger(ms * ticks)) return splitNumber(ms * ticks, to);
          const stored = BigInt(ms) * BigInt(ticks);
          if (BigInt.asIntN(64, stored) !== stored) {
            throw badValue(name, type, value, 'a time within 64 bits of its precision');
          }
          splitBigint(stored, to);
        },
        join(high, low) {
          const stored = high * 4294967296 + low;
          const ms =
            ticks === 1 || Number.isSafeInteger(stored)
              ? Math.floor(stored / ticks)
              : Number((joinBigint(high, low) - mod(joinBigint(high, low), BigInt(ticks))) / BigInt(ticks));
          if (Math.abs(ms) <= dateMsMax) return new Date(ms);
          throw new MillraceError(
            'value/unsafe-integer',
            `'${name}' of type ${typeName(type)} holds ${joinBigint(high, low)}, which lies beyond what a Date can hold`,
          );
        },
      };
    }
    default:
      return null;
  }
}

/** How a type that lies in 32 bits goes to an integer and comes back; null: it does not. */
export interface IntCodec {
  /** Errors: `function/bad-result`. */
  of(value: unknown): number;
  /** Errors: `value/unsafe-integer`. */
  value(stored: number): unknown;
}

export function intCodec(type: DataType, name: string): IntCodec | null {
  switch (type.kind) {
    case 'INT':
      return {
        of(value) {
          if (typeof value === 'number' && (value | 0) === value) return value;
          throw badValue(name, type, value, 'a whole number from -2^31 to 2^31 - 1');
        },
        value: (stored) => stored,
      };
    case 'DATE':
      return {
        of(value) {
          const days = value instanceof Date ? Math.floor(value.getTime() / 86_400_000) : Number.NaN;
          if (Number.isNaN(days)) throw badValue(name, type, value, 'a valid Date');
          return days;
        },
        value(stored) {
          if (Math.abs(stored) <= 1e8) return new Date(stored * 86_400_000);
          throw new MillraceError(
            'value/unsafe-integer',
            `'${name}' of type DATE holds day ${stored}, which lies beyond what a Date can hold`,
          );
        },
      };
    default:
      return null;
  }
}

/** Room for `bytes` more. */
export function room(to: ByteSink, bytes: number): void {
  if (to.at + bytes > to.end) to.grow(bytes);
}

/**
 * Room for a text in UTF-8 and `more` bytes beside it; answers how much the text may take. It is measured only where the
 * most that it could take does not fit.
 */
export function textRoom(text: string, more: number, to: ByteSink): number {
  const most = 3 * text.length;
  if (to.at + most + more <= to.end) return most;
  const bytes = utf8Bytes(text);
  room(to, bytes + more);
  return bytes;
}

/** Bytes that end too early, or counts that cannot be: the format was damaged. */
export function need(from: ByteSource, bytes: number): void {
  if (from.at + bytes > from.end) throw damaged(from, bytes);
}

export function damaged(from: ByteSource, bytes: number): MillraceError {
  return new MillraceError(
    'record/corrupt-frame',
    `bytes of a kept value end too early: ${bytes} wanted, ${from.end - from.at} left; what state holds was damaged`,
  );
}

export function splitNumber(value: number, to: Words): void {
  const high = Math.floor(value / 4294967296);
  to.high = high;
  to.low = value - high * 4294967296;
}

function splitBigint(value: bigint, to: Words): void {
  to.high = Number(value >> 32n);
  to.low = Number(value & 0xffff_ffffn);
}

function joinBigint(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

/** What ECMAScript's Date can hold: 10^8 days on both sides of the epoch. */
const dateMsMax = 8.64e15;

function mod(a: bigint, b: bigint): bigint {
  const rest = a % b;
  return rest < 0n ? rest + b : rest;
}
