/** What a join is asked for beyond its condition, checked. Knows no stream. */
import { durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { JoinNode } from '../plan/nodes.ts';
import { notNegative, shown } from './checks.ts';

/** Errors: `option/invalid`, `plan/unsupported`. */
export function joinTimes(method: string, options: unknown): Pick<JoinNode, 'within' | 'asOf'> {
  const asOf = method === 'asOfJoin' || method === 'leftAsOfJoin';
  if (asOf) return { asOf: { toleranceMs: tolerance(method, options) } };
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null)
    throw new MillraceError(
      'option/invalid',
      `${method} takes options such as { within: [from, to] }, not ${shown(options)}`,
    );
  const { within, ...others } = options as { readonly within?: unknown };
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new MillraceError(
      'plan/unsupported',
      `${method} has no option '${other}'; it takes 'within', which bounds what both sides keep by event time`,
    );
  return within === undefined ? {} : { within: interval(method, within) };
}

function tolerance(method: string, options: unknown = {}): number | null {
  const { tolerance: given, ...others } = options as { readonly tolerance?: unknown };
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new MillraceError('option/invalid', `${method} has no option '${other}'; it takes 'tolerance'`);
  return given === undefined ? null : notNegative('tolerance', String(given));
}

function interval(method: string, within: unknown): NonNullable<JoinNode['within']> {
  if (!Array.isArray(within) || within.length !== 2)
    throw new MillraceError(
      'option/invalid',
      `within of ${method} is two durations, right event time minus left, as in ['-5 minutes', '1 hour'], not ${shown(within)}`,
    );
  const [fromMs, toMs] = within.map((bound) => durationMs(String(bound))) as [number, number];
  if (fromMs > toMs)
    throw new MillraceError(
      'option/invalid',
      `within of ${method} is from the lesser to the greater, and ${within[0]} is more than ${within[1]}`,
    );
  return { fromMs, toMs };
}
