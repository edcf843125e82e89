/** Parameters of a job, checked against their schema. Strings are read as the type asked for, as a command line gives them. */
import { MillraceError } from '../base/errors.ts';
import { nearestNames } from '../expr/nearest.ts';
import { decimalOf, isDecimal, parseDecimal, unscaledOf } from '../record/decimal.ts';
import { type DataType, type Field, type Fields, typeName } from '../record/types.ts';

/** The values that `build` gets: every declared parameter, null where a nullable one is not given. Errors: `option/invalid`. */
export function paramsOf(
  jobName: string,
  declared: Fields,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const names = declared.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const near = nearestNames(name, names);
    const known =
      near.length > 0
        ? `did you mean '${near.join("' or '")}'?`
        : names.length > 0
          ? `it has ${names.join(', ')}`
          : 'it has none';
    throw new MillraceError('option/invalid', `job '${jobName}' has no parameter '${name}'; ${known}`);
  }
  return Object.freeze(
    Object.fromEntries(declared.map((field) => [field.name, paramOf(jobName, field, given[field.name])])),
  );
}

function paramOf(jobName: string, { name, type, nullable }: Field, given: unknown): unknown {
  if (given === undefined || given === null) {
    if (nullable) return null;
    throw new MillraceError('option/invalid', `job '${jobName}' needs the parameter '${name}' (${typeName(type)})`);
  }
  const value = readers[type.kind]?.(given, type);
  if (value !== undefined) return value;
  const why = readers[type.kind]
    ? `${JSON.stringify(String(given))} is no ${typeName(type)}`
    : `a parameter cannot be a ${typeName(type)}`;
  throw new MillraceError('option/invalid', `parameter '${name}' of job '${jobName}': ${why}`);
}

/** By type: the value, or undefined for what is none. */
const readers: { readonly [K in DataType['kind']]?: (given: unknown, type: DataType) => unknown } = {
  BOOLEAN: (given) => ({ true: true, false: false })[String(given)],
  TINYINT: whole(8),
  SMALLINT: whole(16),
  INT: whole(32),
  BIGINT: (given, type) => (type.kind === 'BIGINT' && type.asBigInt ? wide(given) : whole(64)(given)),
  FLOAT: number,
  DOUBLE: number,
  DECIMAL: exact,
  VARCHAR: (given) => (typeof given === 'string' ? given : undefined),
  DATE: time,
  TIMESTAMP: time,
  TIMESTAMP_LTZ: time,
};

function number(given: unknown): number | undefined {
  const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
  return typeof value === 'number' && !Number.isNaN(value) ? value : undefined;
}

/** Whole numbers of so many bits. */
function whole(bits: number): (given: unknown) => number | undefined {
  return (given) => {
    const value = number(given);
    if (value === undefined || !Number.isSafeInteger(value)) return undefined;
    return value >= -(2 ** (bits - 1)) && value < 2 ** (bits - 1) ? value : undefined;
  };
}

function wide(given: unknown): bigint | undefined {
  if (typeof given === 'bigint') return BigInt.asIntN(64, given) === given ? given : undefined;
  if (typeof given === 'number') return Number.isSafeInteger(given) ? BigInt(given) : undefined;
  return typeof given === 'string' && /^\s*-?\d+\s*$/.test(given) ? wide(BigInt(given)) : undefined;
}

function exact(given: unknown, type: DataType): unknown {
  const value = isDecimal(given) ? given : typeof given === 'string' ? parseDecimal(given.trim()) : null;
  if (value === null || type.kind !== 'DECIMAL') return undefined;
  const unscaled = unscaledOf(value, type.precision, type.scale);
  return unscaled === null ? undefined : decimalOf(unscaled, type.scale);
}

function time(given: unknown): Date | undefined {
  const value = given instanceof Date ? given : typeof given === 'string' ? new Date(given) : null;
  return value && !Number.isNaN(value.getTime()) ? value : undefined;
}
