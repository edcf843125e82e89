/** What `follow` says of a file of JSON lines. */
import type { ConnectorSpec } from '../../core/ports/connector.ts';
import type { TailOptions } from '../files/tail.ts';

export type FollowOptions = TailOptions;

/** `options.follow` of a place; null: it is read to its end. */
export function followOf(spec: ConnectorSpec): FollowOptions | null {
  return (spec.options.follow as unknown as FollowOptions | undefined) ?? null;
}
